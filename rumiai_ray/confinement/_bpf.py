"""The seccomp filter as a classic BPF program. See `Documentation/userspace-api/seccomp_filter.rst` of the kernel.

The program checks the architecture, refuses the x32 table, then compares the call's number with one rule after the other.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_LOAD, _AND, _JUMP_EQUAL, _JUMP_AT_LEAST, _RETURN = 0x20, 0x54, 0x15, 0x35, 0x06
"""BPF_LD|BPF_W|BPF_ABS, BPF_ALU|BPF_AND|BPF_K, BPF_JMP|BPF_JEQ|BPF_K, BPF_JMP|BPF_JGE|BPF_K, BPF_RET|BPF_K."""
_NUMBER_AT, _ARCH_AT, _ARGUMENTS_AT = 0, 4, 16
"""Offsets in `struct seccomp_data`. Each argument has eight bytes, the low half first."""
ALLOW = 0x7FFF0000
KILL_PROCESS = 0x80000000
_ERRNO = 0x00050000
_X32_BIT = 0x40000000
_WORD = 0xFFFFFFFF


def refuse(errno: int) -> int:
    """The action that makes a call fail with `errno`."""
    return _ERRNO | errno


@dataclass(frozen=True)
class Argument:
    """A condition: `argument & mask` is one of `values`."""

    index: int
    """Of the argument, from 0."""
    values: tuple[int, ...]
    """32 bits each."""
    mask: int = _WORD
    """32 bits."""
    whole: bool = False
    """The upper 32 bits must be zero, too: for pointers. The kernel ignores them where it takes an `int`."""


@dataclass(frozen=True)
class Rule:
    """What happens to one system call."""

    number: int
    any_of: tuple[tuple[Argument, ...], ...] = ((),)
    """The call is allowed where every condition of one alternative holds; without conditions always, without alternatives never."""
    otherwise: int = ALLOW
    """Action for a call that no alternative fits."""


_Instruction = tuple[int, int, int, int]
"""Code, jump where true, jump where false, operand."""


def program(audit_arch: int, rules: Sequence[Rule], last_known: int, unknown: int, otherwise: int) -> bytes:
    """Assemble a filter.

    Args:
        audit_arch: of the table whose numbers the rules use. A call through any other table (i386 on x86_64) kills the process.
        rules: one for each allowed call; frequent ones first.
        last_known: highest number that had a meaning when the rules were written.
        unknown: action for calls with a higher number.
        otherwise: action for every other call.

    Returns:
        `struct sock_filter` after `struct sock_filter`, eight bytes each.
    """
    instructions: list[_Instruction] = [
        (_LOAD, 0, 0, _ARCH_AT),
        (_JUMP_EQUAL, 1, 0, audit_arch),
        (_RETURN, 0, 0, KILL_PROCESS),
        (_LOAD, 0, 0, _NUMBER_AT),
        (_JUMP_AT_LEAST, 0, 1, _X32_BIT),
        (_RETURN, 0, 0, KILL_PROCESS),
    ]
    for rule in rules:
        body = _body(rule)
        instructions += [(_JUMP_EQUAL, 0, len(body), rule.number), *body]
    instructions += [(_JUMP_AT_LEAST, 0, 1, last_known + 1), (_RETURN, 0, 0, unknown), (_RETURN, 0, 0, otherwise)]
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in instructions)


def _body(rule: Rule) -> list[_Instruction]:
    body = []
    for conditions in rule.any_of:
        blocks = [_condition(condition) for condition in conditions]
        remaining = sum(len(block) for block in blocks) + 1
        for block in blocks:
            for at, (code, true, false, operand) in enumerate(block):
                body.append((code, true, remaining - at - 1 if false == _FAILS else false, operand))
            remaining -= len(block)
        body.append((_RETURN, 0, 0, ALLOW))
    if () not in rule.any_of:
        body.append((_RETURN, 0, 0, rule.otherwise))
    return body


_FAILS = -1
"""Stands for the distance to the next alternative until it is known."""


def _condition(condition: Argument) -> list[_Instruction]:
    """Instructions that fall through where the condition holds."""
    at = _ARGUMENTS_AT + 8 * condition.index
    block: list[_Instruction] = [(_LOAD, 0, 0, at + 4), (_JUMP_EQUAL, 0, _FAILS, 0)] if condition.whole else []
    block.append((_LOAD, 0, 0, at))
    if condition.mask != _WORD:
        block.append((_AND, 0, 0, condition.mask))
    *others, last = condition.values
    block += [(_JUMP_EQUAL, len(others) - place, 0, value) for place, value in enumerate(others)]
    block.append((_JUMP_EQUAL, 0, _FAILS, last))
    return block
