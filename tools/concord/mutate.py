# SPDX-License-Identifier: MIT
"""Faults for the text of a program, of the types that studies of driver failures use (Ng and Chen 1999; Swift et al. 2003):

    flip            a bit of the text, whatever it means
    drop            an instruction is not there
    source          an operand that is read is another register
    destination     the result goes to another register
    pointer         the address of a memory operand is computed otherwise (not on the stack frame)
    loop            the condition of a branch backwards is inverted
    argument        a call's argument is not set up
    stop            none: for a breakpoint alone

Instructions are decoded by Capstone (Debian's python3-capstone).  A change of operands is found by changing
the bits of the instruction that encode them and decoding again: what else has changed disqualifies it."""

import struct
import sys
from dataclasses import dataclass

TYPES = ("flip", "drop", "source", "destination", "pointer", "loop", "argument")
NOP = b"\x90"
ARGUMENTS = ("rdi", "rsi", "rdx", "rcx", "r8", "r9", "edi", "esi", "edx", "ecx", "r8d", "r9d")
STACK = ("rsp", "rbp")
DEBIAN = "/usr/lib/python3/dist-packages"


@dataclass(frozen=True)
class Fault:
    kind: str
    function: str
    offset: int         # in it
    address: int
    old: bytes
    new: bytes
    text: str           # for people: "what it was -> what it is"


def text_section(data):
    """(address, bytes) of the section .text of a 64-bit ELF file."""
    table, = struct.unpack_from("<Q", data, 40)
    size, count, names = struct.unpack_from("<HHH", data, 58)
    headers = [struct.unpack_from("<IIQQQQ", data, table + i * size) for i in range(count)]
    strings = headers[names][4]
    for name, _, _, address, offset, length in headers:
        at = strings + name
        if data[at:data.index(b"\0", at)] == b".text":
            return address, data[offset:offset + length]
    raise ValueError("no .text")


def functions(data):
    """Names of functions by address, from the symbol table."""
    table, = struct.unpack_from("<Q", data, 40)
    size, count, _ = struct.unpack_from("<HHH", data, 58)
    headers = [struct.unpack_from("<IIQQQQII", data, table + i * size) for i in range(count)]
    found = {}
    for header in headers:
        if header[1] != 2:              # SHT_SYMTAB
            continue
        strings = headers[header[6]][4]
        for at in range(header[4], header[4] + header[5], 24):
            name, info, _, _, value, _ = struct.unpack_from("<IBBHQQ", data, at)
            if info & 15 == 2:          # STT_FUNC
                begin = strings + name
                found[value] = data[begin:data.index(b"\0", begin)].decode()
    return found


def decoder():
    """Capstone's module; ImportError: it is not there."""
    if DEBIAN not in sys.path:          # where it is also for a Python that is not Debian's
        sys.path.append(DEBIAN)
    import capstone
    return capstone


class Program:
    """A driver's text, decoded."""

    def __init__(self, data):
        self._capstone = capstone = decoder()
        self._decoder = capstone.Cs(capstone.CS_ARCH_X86, capstone.CS_MODE_64)
        self._decoder.detail = True
        base, text = text_section(data)
        names = sorted(functions(data).items())
        self.instructions = []          # without what fills gaps between functions
        self._function = {}
        for (begin, name), (end, _) in zip(names, [*names[1:], (base + len(text), "")]):
            if not base <= begin < base + len(text):
                continue
            for one in self._decoder.disasm(text[begin - base:end - base], begin):
                if one.mnemonic != "nop":
                    self.instructions.append(one)
                    self._function[one.address] = (name, one.address - begin)
        self._arguments = self._find_arguments()
        self._loops = [one for one in self.instructions if self._is_loop(one)]

    def _decode(self, data, address):
        """The one instruction that these bytes are, or None."""
        found = list(self._decoder.disasm(data, address))
        return found[0] if len(found) == 1 and found[0].size == len(data) else None

    def _is_loop(self, one):
        jump = self._capstone.CS_GRP_JUMP in one.groups and one.mnemonic != "jmp"
        return jump and one.operands[0].type == self._capstone.x86.X86_OP_IMM and \
            one.address - self._function[one.address][1] <= one.operands[0].imm <= one.address

    def _find_arguments(self):
        """Instructions that set a register for the call that ends their straight run."""
        found, run = [], []
        for one in self.instructions:
            if self._capstone.CS_GRP_CALL in one.groups:
                found += run
                run = []
            elif self._capstone.CS_GRP_JUMP in one.groups or self._capstone.CS_GRP_RET in one.groups:
                run = []
            elif one.operands and one.operands[0].type == self._capstone.x86.X86_OP_REG and \
                    one.operands[0].access & self._capstone.CS_AC_WRITE and \
                    one.reg_name(one.operands[0].reg) in ARGUMENTS:
                run.append(one)
        return found

    def _operand(self, one, i):
        """Something to compare an operand by; its type and size come first."""
        x86 = self._capstone.x86
        o = one.operands[i]
        value = {x86.X86_OP_REG: lambda: (o.reg,), x86.X86_OP_IMM: lambda: (o.imm,),
                 x86.X86_OP_MEM: lambda: (o.mem.base, o.mem.index, o.mem.scale, o.mem.disp)}
        return (o.type, o.size, *value.get(o.type, lambda: ())())

    def _changes(self, one):
        """(index of the operand, bytes) of all changes of a bit that change one operand, and nothing else."""
        before = [self._operand(one, i) for i in range(len(one.operands))]
        for place in range(one.size):
            for bit in range(8):
                data = bytearray(one.bytes)
                data[place] ^= 1 << bit
                other = self._decode(bytes(data), one.address)
                if not other or other.mnemonic != one.mnemonic or \
                        len(other.operands) != len(before):
                    continue
                after = [self._operand(other, i) for i in range(len(before))]
                differ = [i for i in range(len(before)) if before[i] != after[i]]
                if len(differ) == 1 and before[differ[0]][:2] == after[differ[0]][:2]:
                    yield differ[0], bytes(data)

    def _operand_changes(self, kind, one):
        """The changes of this instruction that are faults of the kind."""
        x86, cs = self._capstone.x86, self._capstone
        fitting = []
        for i, data in self._changes(one):
            operand = one.operands[i]
            if operand.type == x86.X86_OP_MEM:
                on_stack = operand.mem.base and one.reg_name(operand.mem.base) in STACK
                fits = kind == "pointer" and not on_stack
            elif operand.type == x86.X86_OP_REG:
                access = cs.CS_AC_WRITE if kind == "destination" else cs.CS_AC_READ
                fits = kind != "pointer" and operand.access & access
            else:
                fits = False
            if fits:
                fitting.append(data)
        return fitting

    def choose(self, kind, source):
        """A fault of that kind, as the random.Random `source` has it."""
        while True:
            if kind == "flip":
                one = source.choices(self.instructions, [i.size for i in self.instructions])[0]
                data = bytearray(one.bytes)
                data[source.randrange(one.size)] ^= 1 << source.randrange(8)
                return self._fault(kind, one, bytes(data))
            if kind == "stop":
                return self._stop(source.choice(self.instructions))
            if kind in ("drop", "argument"):
                one = source.choice(self.instructions if kind == "drop" else self._arguments)
                return self._fault(kind, one, NOP * one.size)
            if kind == "loop":
                one = source.choice(self._loops)
                data = bytearray(one.bytes)
                data[1 if data[0] == 0x0f else 0] ^= 1      # 0f 8x, or 7x: the lowest bit inverts it
                return self._fault(kind, one, bytes(data))
            one = source.choice(self.instructions)
            fitting = self._operand_changes(kind, one)
            if fitting:
                return self._fault(kind, one, source.choice(fitting))

    def stops(self):
        """A stop at each instruction."""
        return map(self._stop, self.instructions)

    def _stop(self, one):
        return self._fault("stop", one, bytes(one.bytes))

    def _fault(self, kind, one, new):
        name, offset = self._function[one.address]
        after = "; ".join(f"{i.mnemonic} {i.op_str}".strip() for i in
                          self._decoder.disasm(new, one.address))
        if new == NOP * one.size:
            after = "nothing"
        return Fault(kind, name, offset, one.address, bytes(one.bytes), new,
                     f"{one.mnemonic} {one.op_str}".strip() + " -> " + (after or new.hex()))
