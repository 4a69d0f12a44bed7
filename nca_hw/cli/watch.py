"""`nca-hw watch`: a live array, from what its service ports tell."""

from __future__ import annotations

import contextlib
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click

from nca_hw.cli import common

if TYPE_CHECKING:
    from nca_hw.watch.screen import Screen


@click.command(cls=common.Command, short_help="A live array, from what its service ports tell: in the terminal or on a local page.")
@click.argument("ports", nargs=-1, metavar="PORT...")
@click.option("--genome", default="lizard", show_default=True, help="Of the tiles: a file, or the name of a bundled genome.")
@click.option("--board", default="rp2040", show_default=True, help="Of the tiles: name of a board, or a board file of your own.")
@click.option("--grid", type=common.GRID, help="Cells of the whole array.  [default: as many as the ports tell of, in a row]")
@click.option("--array", type=common.FILE, help="Instead of ports: array.json of 'flash --all'; numbers are places, row by row.")
@click.option("--image", type=common.FILE, help="nca-hw.bin that all tiles should have.  [default: what most of them tell]")
@click.option("--compare", is_flag=True, help="Compute every told state anew, and simulate an array like this one beside it.")
@click.option("--record", "record_file", type=common.FILE, help="Keep all that comes in a file.")
@click.option("--replay", "replay_file", type=common.FILE, help="Instead of ports: what --record has kept.")
@click.option("--speed", type=common.FiniteRange(0, 1000), default=1.0, show_default=True, help="Of a replay; 0: as fast as it goes.")
@click.option("--page", is_flag=True, help="On a page at 127.0.0.1, for this computer's browser, instead of in the terminal.")
@click.option("--page-port", type=click.IntRange(0, 65535), default=8765, show_default=True, help="Of the page; 0: any that is free.")
@click.option("--for", "seconds", type=common.FiniteRange(min=0, min_open=True), metavar="SECONDS", help="Then it ends.  [default: Ctrl-C]")
@common.json_option
def command(
    ports: tuple[str, ...], genome: str, board: str, grid: tuple[int, int] | None, array: Path | None, image: Path | None,
    compare: bool, record_file: Path | None, replay_file: Path | None, speed: float, page: bool, page_port: int, seconds: float | None,
    as_json: bool,
) -> None:  # fmt: skip
    """Show what the tiles behind service ports tell: alive cells, rates, damaged lines, silent tiles, the picture.

    A PORT is a serial device (/dev/ttyUSB0, COM3), a pattern of them ('/dev/ttyUSB*'), or a pyserial address such as socket://HOST:PORT.
    Each is one tile; PORT@X,Y says which, as its column and row counted in tiles from the north-west. The others take the places that are
    free, row by row. Opening the port of an Arduino resets its chip: docs/watching.md.
    """
    from nca_hw.errors import NcaHwError
    from nca_hw.formats.boards import load_board
    from nca_hw.formats.picture import from_png_bytes
    from nca_hw.watch import session
    from nca_hw.watch.array import LiveArray, crc_of
    from nca_hw.watch.expected import expect
    from nca_hw.watch.figures import figures, picture
    from nca_hw.watch.follow import Follower
    from nca_hw.watch.places import place
    from nca_hw.watch.ports import SerialLine, array_taps, taps
    from nca_hw.watch.record import About, Record, Recorder

    if sum((bool(ports), array is not None, replay_file is not None)) != 1:
        raise click.UsageError("Name one PORT or more, or a file to --replay, or an --array; one of the three.")
    if array is not None and grid is None:
        raise click.UsageError("An --array needs the --grid whose tiles are numbered.")
    if replay_file is not None and record_file is not None and record_file.exists() and record_file.samefile(replay_file):
        raise click.UsageError("--record would overwrite what --replay shows. Name another file.")
    record = None if replay_file is None else Record(replay_file)
    if record is not None:
        genome = genome if common.given("genome") else record.about.genome
        board = board if common.given("board") else record.about.board
    loaded, target_board = common.load_genome(genome), load_board(board)
    tile_size = (target_board.tile.width, target_board.tile.height)
    if record is not None and record.about.genome_hash != loaded.cell_hash:
        raise NcaHwError(f"was recorded with another genome than {genome!r}", where=replay_file, cure="Name its file with --genome.")
    if record is not None and record.about.places.tile != tile_size:
        unlike = "was recorded with tiles of {}x{} cells; {} has {}x{}".format(*record.about.places.tile, target_board.name, *tile_size)
        raise NcaHwError(unlike, where=replay_file, cure="Name its board with --board.")
    with contextlib.ExitStack() as open_things:
        if record is None:
            found = taps(ports) if array is None or grid is None else array_taps(array, target_board, grid, common.say)
            places = place(found, target_board, grid)
        else:
            places = record.about.places
        target = from_png_bytes(loaded.target, where=genome) if loaded.target else None
        live = LiveArray(loaded, target_board, places, None if image is None else crc_of(_read(image)))
        follower = Follower(live, patient=record is not None and not speed) if compare else None
        expected = expect(loaded, target_board, places, target) if compare else None
        lines = [] if record is not None else [SerialLine(name) for name in places.ports]
        for line in lines:
            open_things.callback(line.close)
            line.open()
        pieces = session.from_lines(lines) if record is None else session.from_record(record, speed)

        def told() -> dict[str, Any]:
            return figures(live, target=target, lines=lines, follower=follower, expected=expected)

        shown: list[Any] = []
        title = f"nca-hw watch   {target_board.name}   {loaded.provenance.name or genome}"
        if page:
            from nca_hw.watch.page import Page

            shown.append(open_things.enter_context(Page(title, page_port, time.monotonic)))
            common.say(f"The array is shown at {shown[0].address} (Ctrl-C ends it).")
        elif not as_json and (screen := _screen(title)) is not None:
            shown.append(open_things.enter_context(screen))
        recorder = None
        if record_file is not None:  # last: what is there already is lost with it
            about = About(genome, loaded.cell_hash, board, places, time.time())
            recorder = open_things.enter_context(Recorder(record_file, about))

        def each() -> None:
            for one in shown:
                if one.is_due():
                    one.show(told(), picture(live))

        interrupted = False
        try:
            session.follow_pieces(pieces, live, follower=follower, recorder=recorder, seconds=seconds, each=each)
        except KeyboardInterrupt:
            interrupted = True
        document = {**told(), "genome": genome, "genome_hash": loaded.cell_hash, "board": target_board.name}
    document |= {"record": None if record_file is None else str(record_file), "replay": common.replay()}
    if record is not None and record.is_cut_off:
        common.say(f"warning: {replay_file} ends within a piece; all before it was read")
    _report(document, as_json=as_json)
    if interrupted:
        raise KeyboardInterrupt
    _judge(document)


def _screen(title: str) -> Screen | None:
    """Where the terminal can be drawn on."""
    from nca_hw.watch.screen import Screen

    screen = Screen(title)
    return screen if sys.stdout.isatty() and not screen.console.is_dumb_terminal else None


def _read(image: Path) -> bytes:
    from nca_hw.errors import NcaHwError

    try:
        return image.read_bytes()
    except OSError as error:
        raise NcaHwError(f"can't be read ({error.strerror or error})", where=image, cure="Name the nca-hw.bin of a build.") from None


def _report(document: dict[str, Any], *, as_json: bool) -> None:
    from nca_hw.watch.screen import rows

    if as_json:
        common.emit("watch", document)
        return
    known: list[tuple[str, object]] = [("watched", f"{document['grid']} cells for {document['seconds']:.1f} s")]
    common.table([*known, *((name, words) for name, words, _ in rows(document))])
    for one in document["trouble"]:
        click.echo(f"tile {one['tile']}  {one['port']}  {one['what']}")


def _judge(document: dict[str, Any]) -> None:
    """Raise what a comparison found."""
    from nca_hw.errors import LimitMissed

    compare = document["compare"]
    if compare is not None and not compare["holds"]:
        first = compare["first_unlike"]
        told = f"{compare['unlike']:,} of {compare['checked']:,} told states do not follow from what their neighbours have told"
        where = f"cell {first['cell']} at {first['time']:.3f} s was the first"
        raise LimitMissed(f"{told}; {where}", cure="Has every tile the genome that --genome names, and is every port at its place?")
