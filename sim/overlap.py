"""Faults that overlap: a cell (or frame) that several hold is what the youngest of them makes of it, and comes free with the last."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from nca_hw.sim.faults import Babbling, Cutting, Freezing, Operation, Pace, Power, Programming

Holding = Power | Freezing | Babbling | Pace | Cutting | Programming
Holds = dict[type[Operation], dict[Any, list[Holding]]]


def untangle(operations: Sequence[Operation], *, staggered: bool) -> Iterator[Operation]:
    """The same operations, but that no end of a fault frees what another one still holds.

    Args:
        operations: in their order. staggered: cells have no power, and can't be given any by the end of a fault, until the world gives it.
    """
    holds: Holds = {}
    if staggered:
        for operation in operations:
            if isinstance(operation, Power) and operation.fault is None:
                _hold(holds, operation)
    for operation in operations:
        if not isinstance(operation, Holding):
            yield operation
        elif operation.strike:
            _hold(holds, operation)
            yield operation
        else:
            yield from _released(holds, operation)


def _members(operation: Holding) -> tuple[Any, ...]:
    return operation.frames if isinstance(operation, Cutting) else operation.cells


def _only(operation: Holding, members: list[Any]) -> Holding:
    return replace(operation, frames=tuple(members)) if isinstance(operation, Cutting) else replace(operation, cells=tuple(members))


def _hold(holds: Holds, operation: Holding) -> None:
    holding = holds.setdefault(type(operation), {})
    for member in _members(operation):
        holding.setdefault(member, []).append(operation)


def _released(holds: Holds, operation: Holding) -> Iterator[Operation]:
    holding = holds.get(type(operation))
    if holding is None:
        yield operation
        return
    free: list[Any] = []
    held: dict[int, tuple[Holding, list[Any]]] = {}  # by the youngest that holds them
    for member in _members(operation):
        holders = holding.get(member, [])
        mine = next((n for n, holder in enumerate(holders) if holder.fault == operation.fault), None)
        if mine is not None:
            del holders[mine]
        if holders:
            held.setdefault(id(holders[-1]), (holders[-1], []))[1].append(member)
        else:
            free.append(member)
    if free:
        yield _only(operation, free)
    for holder, members in held.values():
        if isinstance(holder, Pace | Programming):  # there is more than one way to be slow, or strange
            yield replace(_only(holder, members), time=operation.time, strike=False)
