"""`nca-hw flash`: images onto boards, one or all that are connected."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import rich_click as click

from nca_hw.cli import common

if TYPE_CHECKING:
    from nca_hw.flash.array import Way
    from nca_hw.flash.payload import Payload
    from nca_hw.flash.target import Means
    from nca_hw.formats.array_file import BoardEntry


@click.command(cls=common.Command, short_help="Write an image onto a board, or onto all that are connected, and ask whether it runs.")
@click.argument("what", metavar="[BUILD|IMAGE|GENOME]...", nargs=-1)
@click.option("--board", help="The kind of board.  [default: that of BUILD; rp2040 for a genome, which is built first]")
@click.option("--port", "ports", multiple=True, help="Serial port of the board, or folder of its boot volume; several with --all.")
@click.option("--volumes", type=common.FILE, help="Look for boot volumes in this folder, not at what is mounted.")
@click.option("--service-port", help="Serial port at which the board's service pin is heard.  [default: --port, where that is the same]")
@click.option("--programmer", help="ATmega328P: an ISP programmer, by avrdude's name: usbasp, for example.")
@click.option("--baud", type=click.IntRange(300, 4_000_000), help="Of the serial boot loader.  [default: what is usual]")
@click.option("--dry-run", is_flag=True, help="Tell what would be done, and touch nothing.")
@click.option(
    "--all", "everything", is_flag=True, help="All boards that are connected, at once; what happened to each stands in array.json."
)
@click.option(
    "--watch", is_flag=True, help="With --all: wait for boards as they are plugged in, one after the other or many, until Ctrl-C."
)
@click.option("--count", type=click.IntRange(1, 100_000), help="With --all: so many boards there must be; with --watch, it ends with them.")
@click.option("--array", type=common.FILE, default=Path("array.json"), show_default=True, help="With --all: the file to go on with.")
@click.option("--retries", type=click.IntRange(0, 20), default=1, show_default=True, help="More attempts, where another may help.")
@click.option("--jobs", type=click.IntRange(1, 256), default=16, show_default=True, help="With --all: boards that are written at once.")
@click.option(
    "--number", is_flag=True, help="With --all: every board is told its number, and shows it with its light after power-on: RP2040."
)
@click.option("--force", is_flag=True, help="With --all: write boards that run this image already, too.")
@common.json_option
def command(
    what: tuple[str, ...], board: str | None, ports: tuple[str, ...], volumes: Path | None, service_port: str | None,
    programmer: str | None, baud: int | None, dry_run: bool, everything: bool, watch: bool, count: int | None, array: Path,
    retries: int, jobs: int, number: bool, force: bool, as_json: bool,
) -> None:  # fmt: skip
    """Write BUILD, a folder of 'nca-hw build', onto the board that is connected, and ask the board whether it runs.

    An IMAGE is a .bin, with --board. A GENOME is built first. Exit code 4: there is no board, or several, or it could not be written.
    With --all, several BUILDs of different chips can be named, and exit code 5 says that some boards failed: run it again, and only
    those are written that do not hold the image yet.
    """
    from nca_hw.errors import NcaHwError
    from nca_hw.flash.array import Way
    from nca_hw.flash.payload import payload
    from nca_hw.flash.target import Means
    from nca_hw.formats.files import is_folder

    alone = {
        "--watch": watch,
        "--count": count is not None,
        "--force": force,
        "--number": number,
        "--jobs": common.given("jobs"),
        "--array": common.given("array"),
    }
    if not everything and (wrong := [name for name, given in alone.items() if given]):
        raise NcaHwError(f"{', '.join(wrong)}: only with --all", cure="Add --all, or leave it out.")
    if volumes is not None and not is_folder(volumes):
        raise NcaHwError("is no folder", where=f"--volumes {volumes}", cure="Name the folder in which boot volumes appear as folders.")
    payloads = [payload(word, board) for word in what or ("lizard",)]
    if programmer is not None and [image.family for image in payloads] != ["atmega"]:
        raise NcaHwError("is for the ATmega328P alone", where="--programmer", cure="Leave it out, or name a build for atmega328p.")
    if programmer is None and any(image.family == "atmega" and image.code is not None for image in payloads):
        cure = "Take a programmer: nca-hw flash BUILD --programmer usbasp. Its fuses: docs/spreading.md."
        raise NcaHwError("an image that takes new genomes stands where the boot loader is", where="--programmer", cure=cure)
    means = Means(tuple(port for port in ports if port), volumes, programmer, service_port, baud)
    if everything:
        _all(payloads, means, Way(jobs, retries, force, count, watch, number), array, dry_run, as_json)
    elif len(payloads) > 1:
        raise NcaHwError(f"{len(payloads)} images and one board", cure="Name one; or flash boards of several kinds: --all.")
    else:
        _one(payloads[0], means, retries, dry_run, as_json)


def _one(image: Payload, means: Means, retries: int, dry_run: bool, as_json: bool) -> None:
    from nca_hw.flash import one
    from nca_hw.flash.target import none_found, several_found, targets

    found = targets(image.family, means)
    if not found:
        raise none_found(image.family, image.board, means)
    if len(found) > 1:
        raise several_found(found)
    target = found[0]
    if dry_run:
        steps = one.plan(target, image, _files(image), means)
        if as_json:
            common.emit("flash", {"dry_run": True, "image": _card(image), "steps": {target.place: steps}})
            return
        common.table([("image", f"{image.told}: {len(image.image):,} B for {image.board}"), ("board", target.place)])
        for step in steps:
            click.echo(f"would {'run: ' if target.family != 'rp2040' and step is not steps[-1] else ''}{step}")
        return
    common.say(f"writing {target.place} ...")
    with tempfile.TemporaryDirectory(prefix="nca-hw-") as folder:
        done = one.flash(target, image, one.prepare(image, Path(folder)), means, retries)
    if as_json:
        result = {"place": target.place, "verified": done.verified, "note": done.note, "attempts": done.attempts}
        common.emit("flash", {"image": _card(image), **result})
        return
    common.table(
        [
            ("image", f"{image.told}: {len(image.image):,} B for {image.board}"),
            ("board", target.place),
            ("flashed", VERIFIED[done.verified]),
        ]
    )
    if done.note:
        common.say(done.note)


VERIFIED = {
    "self-test": "verified: its self-test tells this image", "read-back": "read back equal by its programmer; its self-test was not heard",
    "no": "not verified",
}  # fmt: skip


def _all(images: list[Payload], means: Means, way: Way, path: Path, dry_run: bool, as_json: bool) -> None:
    from nca_hw.errors import ExitCode, NcaHwError
    from nca_hw.flash import array, one, programs
    from nca_hw.flash.connected import unmounted
    from nca_hw.flash.target import Target, none_found

    payloads = {image.family: image for image in images}
    if len(payloads) < len(images):
        raise NcaHwError("two images are for the same family of chips", cure="Name one of each.")
    for image in images if way.number else []:
        image.uf2(1)  # refuses an image that shows none
    ledger = array.Ledger.opened(path)
    boards = array.expected(payloads, means, way, ledger) if not way.watch else array.found(payloads, means)
    if "rp2040" in payloads and means.volumes is None and (waiting := unmounted()):
        common.say(f"not mounted, and left out: {', '.join(waiting)}  (udisksctl mount -b {waiting[0]})")
    if means.service is not None and len(boards) > 1 and not way.watch:
        what = f"{len(boards)} boards are connected, and {means.service} hears one"
        raise NcaHwError(what, where="--service-port", cure="Leave it out; or flash one after the other: --watch.")
    if means.service is not None:
        way = replace(way, jobs=1)
    if not boards and not way.watch:
        raise none_found(images[0].family, images[0].board, means)
    if not dry_run:
        for target in [Target(family, "", port=next(iter(means.ports), None)) for family in payloads] if way.watch else boards:
            if target.family != "rp2040":
                programs.needed(target)
    if dry_run:
        steps = {target.place: one.plan(target, payloads[target.family], _files(payloads[target.family]), means) for target in boards}
        if as_json:
            common.emit("flash", {"dry_run": True, "images": [_card(image) for image in images], "steps": steps})
        else:
            common.table([(place, "; ".join(lines)) for place, lines in steps.items()])
        return
    happened: list[dict[str, object]] = []

    def told(entry: BoardEntry, how: str) -> None:
        happened.append({**entry.model_dump(), "now": how})
        if not as_json:
            click.echo(f"{entry.number:5d}  {entry.place:24s}  {_words(entry, how)}")

    if way.watch:
        common.say("Plug in the next board. Ctrl-C ends; what was done is kept.")
    interrupted = False
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="nca-hw-")))
        files = {family: one.prepare(image, folder / family) for family, image in payloads.items()}
        try:
            array.flash_all(payloads, files, means, way, ledger, told)
        except KeyboardInterrupt:
            common.say(f"{path} holds what was done; the same command goes on.")
            interrupted = True
    if as_json:
        common.emit("flash", {"array": str(path), "images": [_card(image) for image in images], "boards": happened})
    if interrupted:
        raise KeyboardInterrupt
    if failed := ledger.failed:
        numbers = ", ".join(str(entry.number) for entry in failed)
        what = f"{len(failed)} of {len(ledger.entries)} boards failed: {numbers}"
        raise NcaHwError(
            what, where=path, cure="Run the same command again: only those are written.", exit_code=ExitCode.SOME_BOARDS_FAILED
        )


def _words(entry: BoardEntry, how: str) -> str:
    if how == "failed":
        return f"FAILED ({entry.reason}): {entry.error}"
    if how in ("skipped", "kept"):
        return "skipped: its self-test tells that it runs this image already"
    return f"flashed, {VERIFIED[entry.verified]}"


def _files(image: Payload) -> Path:
    """Where the files of an image are, for a dry run."""
    from nca_hw.formats.files import is_folder

    return Path(image.told) if is_folder(image.told) else Path("BUILD")


def _card(image: Payload) -> dict[str, object]:
    return {
        "from": image.told, "board": image.board, "family": image.family, "rom_bytes": len(image.image), "image_sha256": image.sha256,
        "genome_hash": image.genome_hash,
    }  # fmt: skip
