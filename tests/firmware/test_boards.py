"""Board files: data that is checked, with every mistake told at once, by line."""

from __future__ import annotations

from pathlib import Path

import pytest

from nca_hw.errors import NcaHwError
from nca_hw.formats.boards import bundled_boards, load_board, parse
from nca_hw.formats.toml_file import TomlFile

GOOD = bundled_boards()["rp2040"].read_text()


def test_the_bundled_boards_load() -> None:
    board = load_board("rp2040")
    assert (board.budget.rom, board.budget.cell_ram) == (11_264, 256)
    assert len(set(board.pins().values())) == len(board.pins())


def test_a_board_of_ones_own_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(GOOD.replace("brightness = 64", "brightness = 16"))
    board = load_board(tmp_path / "mine.toml")
    assert (board.name, board.led.brightness) == ("mine", 16)


def test_a_board_without_figures_of_power_is_told_so() -> None:
    without = GOOD[: GOOD.index("[power]")]
    with pytest.raises(NcaHwError, match="power: Field required"):
        parse(TomlFile("mine.toml", without), "mine")


def test_whole_numbers_are_figures_too() -> None:
    text = GOOD.replace("supply_volts = 5.0", "supply_volts = 5")
    assert parse(TomlFile("mine.toml", text), "mine").power == load_board("rp2040").power


def test_an_unknown_board_is_told_the_nearest() -> None:
    with pytest.raises(NcaHwError, match=r"no board 'rp2400'\. Did you mean 'rp2040'\?"):
        load_board("rp2400")


def test_all_mistakes_are_told_with_their_lines() -> None:
    text = GOOD.replace("brightness = 64", "brightnes = 64").replace("flash = 2_097_152", "flash = 3")
    text = text.replace('family = "rp2040"', "family = 2040")
    with pytest.raises(NcaHwError) as caught:
        parse(TomlFile("mine.toml", text), "mine")
    told = str(caught.value)
    lines = text.splitlines()
    for word in ("brightnes", "flash", "family"):
        number = next(i for i, line in enumerate(lines, 1) if line.startswith(word))
        assert f"line {number}: " in told, told
        assert lines[number - 1].strip() in told
    assert "Did you mean 'brightness'?" in told
    assert "led.brightness: Field required" in told


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('east = ["GP4", "GP5"]', 'east = ["GP3", "GP4"]', "pin GP3 is edges.north.1 already"),
        ('east = ["GP4", "GP5"]', 'east = ["GP5", "GP4"]', "must be neighbouring pins, the lower one first"),
        ('east = ["GP4", "GP5"]', 'east = ["GP4"]', "edges.east"),
        ('pin = "GP19"', 'pin = "GP16"', "no SPI0 output; those are GP3, GP7, GP19, GP23"),
        ('pin = "GP0" ', 'pin = "GP1" ', "no UART0 output; those are GP0, GP12, GP16, GP28"),
        ('pin = "GP22"', 'pin = "GP30"', "the chip has no pin GP30"),
        ('pin = "GP22"', "pin = 22", "valid string"),
        ('family = "rp2040"', 'family = "rp2350"', "there is no family 'rp2350'. Known: rp2040"),
        ("interval_us = 100_000", "interval_us = 2_000_000", "1048576"),
        ("[budget]", "[budget", "is not TOML"),
        ("supply_volts = 5.0", "supply_volts = 0.5", "power.supply_volts: .*greater than or equal to 1"),
        ("led_colour_ma = 12.0", 'led_colour_ma = "12"', "power.led_colour_ma: .*valid number"),
        ("led_quiescent_ma = 1.0", "led_quiescent_ma = -1.0", "power.led_quiescent_ma: .*greater than or equal to 0"),
        ("chip_waiting_ma = 2.5", "chip_wait_ma = 2.5", "Did you mean 'chip_waiting_ma'"),
        ("chip_waiting_ma = 2.5", "chip_waiting_ma = 3.5", "waiting takes no more than computing"),
        ("clock_hz = 12_000_000", "clock_hz = 125_000_000", "the firmware runs at 12000000"),
        ("cycles_skipped = 105", "cycles_skipped = 300_000", "more than cycles_evaluated"),
    ],
)
def test_what_cannot_work_is_refused(old: str, new: str, message: str) -> None:
    assert old in GOOD
    with pytest.raises(NcaHwError, match=message):
        parse(TomlFile("mine.toml", GOOD.replace(old, new, 1)), "mine")


def test_names_that_would_travel_into_scripts_are_restricted(tmp_path: Path) -> None:
    path = tmp_path / "my board; rm.toml"
    path.write_text(GOOD)
    with pytest.raises(NcaHwError, match="travels into file names"):
        load_board(path)
