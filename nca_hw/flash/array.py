"""Arrays of boards: all that are connected, or one after the other as they are plugged in; array.json tells what happened to each.

The file is written anew after every board, so that nothing is forgotten, whatever ends the run; the next run goes on from it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from nca_hw.errors import ExitCode, NcaHwError
from nca_hw.flash import one
from nca_hw.flash.connected import natural
from nca_hw.flash.failure import FlashFailure
from nca_hw.flash.payload import Payload
from nca_hw.flash.target import Means, Target, targets
from nca_hw.formats.array_file import BoardEntry, load_array, write_array
from nca_hw.formats.files import is_folder, is_there, readable

SERIAL = ("atmega", "stm32g031")  # families that are written through serial ports
LOOK_S = 0.3  # how often boards are looked for
Told = Callable[[BoardEntry, str], None]


@dataclass(frozen=True)
class Way:
    """How an array is flashed.

    Attributes:
        jobs: boards that are written at once. retries: more attempts for each. force: boards that run the image already are written, too.
        count: of boards that the array has; None is not told. watch: boards are plugged in one after the other.
        number: boards are told their numbers, and show them.
    """

    jobs: int = 16
    retries: int = 1
    force: bool = False
    count: int | None = None
    watch: bool = False
    number: bool = False


@dataclass
class Ledger:
    """array.json and what it grows by."""

    path: Path
    entries: dict[int, BoardEntry] = field(default_factory=dict)

    @classmethod
    def opened(cls, path: Path) -> Ledger:
        """The file that is there, or a new one.

        Raises:
            NcaHwError: it has mistakes.
        """
        return cls(path, {entry.number: entry for entry in load_array(path).boards} if is_there(path) else {})

    def put(self, entry: BoardEntry) -> None:
        """Write the file with one more board."""
        self.entries[entry.number] = entry
        write_array(self.path, self.entries)

    def number_of(self, target: Target, *, only_failed: bool, taken: set[int]) -> int:
        """The number of a board: that which it has had, or the next.

        Args:
            only_failed: at a place whose board is done another one is a new one.
        """
        free = [entry for entry in self.entries.values() if entry.number not in taken]
        same = [entry for entry in free if target.serial is not None and entry.serial == target.serial]
        if not same:
            same = [
                entry for entry in free
                if entry.place == target.place and not (entry.serial and target.serial) and not (only_failed and entry.done)
            ]  # fmt: skip
        for entry in sorted(same, key=lambda entry: entry.place != target.place):
            return entry.number
        return max([0, *self.entries, *taken]) + 1

    def done(self, payloads: Mapping[str, Payload]) -> int:
        """How many boards hold the images of this run."""
        hashes = {payload.sha256 for payload in payloads.values()}
        return sum(entry.done and entry.image_sha256 in hashes for entry in self.entries.values())

    @property
    def failed(self) -> list[BoardEntry]:
        """Those that do not hold their image, by number."""
        return [self.entries[number] for number in sorted(self.entries) if not self.entries[number].done]


def found(payloads: Mapping[str, Payload], means: Means) -> list[Target]:
    """Boards of all families for which there is an image, in order of their places.

    Raises:
        NcaHwError: it can't be told whose the named ports are.
    """
    folders = tuple(name for name in means.ports if is_folder(name))
    serial = [family for family in payloads if family in SERIAL]
    if len(serial) > 1 and len(folders) < len(means.ports):
        told = f"--port does not tell whether a board is of the family {' or '.join(serial)}"
        raise NcaHwError(told, cure="Flash them by two commands, with the same --array.")
    boards: dict[str, Target] = {}
    for family in payloads:
        ports = means.ports if len(payloads) == 1 else folders if family == "rp2040" else tuple(p for p in means.ports if p not in folders)
        for target in targets(family, replace(means, ports=ports)):
            boards.setdefault(target.place, target)
    return sorted(boards.values(), key=lambda target: natural(target.place))


def flash_all(payloads: Mapping[str, Payload], files: Mapping[str, Path], means: Means, way: Way, ledger: Ledger, told: Told) -> None:
    """Flash everything that is connected.

    Args:
        payloads: by family. files: folders of their files, see `one.prepare`.
        told: called with every board's entry, and what was done with it: flashed, skipped, failed, or kept (an earlier run's entry holds).
    Raises:
        KeyboardInterrupt: after boards that were being written have been finished; the ledger holds them.
        NcaHwError: with `count`, there are more or fewer.
    """
    write_array(ledger.path, ledger.entries)  # that it can't be written is told before a board is
    run = _Run(payloads, files, means, way, ledger, told)
    with ThreadPoolExecutor(way.jobs) as pool:
        try:
            if way.watch:
                run.watch(pool)
            else:
                run.batch(pool, expected(payloads, means, way, ledger))
        except BaseException as error:
            for future in run.busy:
                future.cancel()
            run.rescue(tell=isinstance(error, KeyboardInterrupt))
            raise


def expected(payloads: Mapping[str, Payload], means: Means, way: Way, ledger: Ledger) -> list[Target]:
    """The boards that are connected, if they are as many as there should be.

    Raises:
        NcaHwError: they are not; boards that are done and away count.
    """
    boards = found(payloads, means)
    if way.count is not None:
        hashes = {payload.sha256 for payload in payloads.values()}
        here = {target.place for target in boards} | {target.serial for target in boards}
        away = [
            e
            for e in ledger.entries.values()
            if e.done and e.image_sha256 in hashes and e.place not in here and e.serial not in here - {None}
        ]
        if len(boards) + len(away) != way.count:
            seen = f"{len(boards)} boards are connected" + (f" and {len(away)} done before" if away else "")
            places = ", ".join(target.place for target in boards)
            cure = f"Connected: {places or 'none'}. Plug in what is missing, or leave --count out."
            raise NcaHwError(f"{seen}, and --count says {way.count}", cure=cure, exit_code=ExitCode.PORT_OR_BOARD)
    return boards


@dataclass
class _Run:
    payloads: Mapping[str, Payload]
    files: Mapping[str, Path]
    means: Means
    way: Way
    ledger: Ledger
    told: Told
    busy: dict[Future[BoardEntry | None], tuple[int, Target]] = field(default_factory=dict)
    seen: set[str] = field(default_factory=set)  # places whose board has been written since it was plugged in

    def batch(self, pool: ThreadPoolExecutor, boards: Sequence[Target]) -> None:
        for target in boards:
            self.begin(pool, target, only_failed=False)
        while self.busy:
            self.settle(LOOK_S)

    def watch(self, pool: ThreadPoolExecutor) -> None:
        """Until the count is reached, if there is one, else for ever. A board is written once for every time that it is plugged in."""
        seen = self.seen
        self._greet(pool)
        while self.way.count is None or self.ledger.done(self.payloads) < self.way.count:
            boards = {target.place: target for target in found(self.payloads, self.means) if target.present}
            at_work = {target.place for _, target in self.busy.values()}
            seen &= boards.keys() | at_work
            for place, target in boards.items():
                room = self.way.count is None or self.ledger.done(self.payloads) + len(self.busy) < self.way.count
                if place not in seen and room:
                    seen.add(place)
                    self.begin(pool, target, only_failed=True)
            if self.busy:
                self.settle(LOOK_S)
            else:
                time.sleep(LOOK_S)
        while self.busy:
            self.settle(LOOK_S)

    def _greet(self, pool: ThreadPoolExecutor) -> None:
        """Boards that an earlier run has done, and that are still there, are no new ones, if they tell so themselves."""
        asked = []
        for target in found(self.payloads, self.means) if not self.way.force else []:
            sha256 = self.payloads[target.family].sha256
            done = [e for e in self.ledger.entries.values() if e.done and (e.place, e.image_sha256) == (target.place, sha256)]
            asked += [(target, done[-1])] if target.resets and done else []
        for (target, entry), same in zip(
            asked, pool.map(lambda pair: one.runs(pair[0], self.payloads[pair[0].family]), asked), strict=True
        ):
            if same:
                self.seen.add(target.place)
                self.told(entry, "kept")

    def begin(self, pool: ThreadPoolExecutor, target: Target, *, only_failed: bool) -> None:
        number = self.ledger.number_of(target, only_failed=only_failed, taken={number for number, _ in self.busy.values()})
        self.busy[pool.submit(self._board, number, target)] = number, target

    def settle(self, seconds: float) -> None:
        """Write down what has come to its end, and tell it: wait for the first one for so long."""
        ended, _ = wait(self.busy, seconds, FIRST_COMPLETED)
        for future in ended:
            entry, how = self._put(future)
            self.told(entry, how)

    def rescue(self, *, tell: bool) -> None:
        """Write down what is being finished, all of it, whatever fails meanwhile: the user is told of what has ended the run, not of this.

        Args:
            tell: each, too, as long as that can be done.
        """
        while self.busy:
            ended, _ = wait(self.busy, None, FIRST_COMPLETED)
            for future in ended:
                if future.cancelled():
                    self.busy.pop(future)
                    continue
                with suppress(Exception):
                    entry, how = self._put(future)
                    if tell:
                        self.told(entry, how)

    def _put(self, future: Future[BoardEntry | None]) -> tuple[BoardEntry, str]:
        """Write down what happened to a board; gives its entry and what was done with it."""
        number, target = self.busy.pop(future)
        entry = future.result()
        if entry is None:
            return self.ledger.entries[number], "kept"
        self.ledger.put(entry)
        if target.volume is not None and entry.done:
            self.seen.discard(target.place)  # it has restarted: a volume there is the next board
        return entry, entry.status

    def _board(self, number: int, target: Target) -> BoardEntry | None:
        """What happened to one board; None where it runs the image as an earlier run has told."""
        payload = self.payloads[target.family]
        before = self.ledger.entries.get(number)
        try:
            if not self.way.force and one.runs(target, payload):
                same = before is not None and before.done and (before.image_sha256, before.place) == (payload.sha256, target.place)
                return None if same else _entry(number, target, payload, status="skipped", verified="self-test", attempts=0)
            done = one.flash(target, payload, self.files[target.family], self.means, self.way.retries, number if self.way.number else None)
        except FlashFailure as failure:
            told = readable(str(failure))
            return _entry(number, target, payload, status="failed", reason=failure.reason, error=told[:4000], attempts=failure.attempts)
        return _entry(number, target, payload, status="flashed", verified=done.verified, note=done.note, attempts=done.attempts)


def _entry(number: int, target: Target, payload: Payload, **what: object) -> BoardEntry:
    blank = {"verified": "no", "reason": None, "error": None, "note": None}
    return BoardEntry.model_validate({
        **blank, "number": number, "place": target.place, "serial": target.serial, "board": payload.board, "image_sha256": payload.sha256,
        "genome_hash": payload.genome_hash, "time": datetime.now(UTC).isoformat(timespec="seconds"), **what,
    })  # fmt: skip
