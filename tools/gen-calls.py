#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Turn abi/kernel/calls.tbl and status.tbl into everything that depends on them.

The tables are the only place where a kernel call or a status is described.
Usage: gen-calls.py MODE STATUS_TABLE CALL_TABLE > OUTPUT, with MODE one of

  status-h    abi/status.h: K_OK, K_ERR_*, and a list macro with errno and meaning
  calls-h     abi/calls.h: call numbers and prototypes of the k_* functions
  stubs-c     the k_* functions of a process: SYSCALL with the number in rax
  kcalls-h    prototypes of the kernel's handlers, kcall_*
  dispatch-c  trampolines from a system call's registers to the handlers, and their table
  direct-c    the k_* functions of a personality that is linked into the kernel

A malformed line stops the build with file:line.  How each argument type looks on
each of the three sides is in class Arg, and nowhere else.
"""
import re
import sys

CALL = re.compile(r'(\d+)\s+(\w+)\((.*)\)(?:\s*:\s*([\w ]+))?$')
STATUS = re.compile(r'(0|-\d+)\s+([A-Z_]+)\s+(\w+)\s+(\S.*)$')
HANDLE = re.compile(r'(\w+):([A-Z+]+|-)(\?)?$')
STRUCT = re.compile(r'(in|out|inout|ref)\(([\w ]+)\)$')

# Object types as they are called in the table: struct of the kernel, K_TYPE_*.
OBJECTS = {t: (f'struct {t}', f'K_TYPE_{t.upper()}') for t in
           ('process', 'thread', 'space', 'memory', 'backing', 'channel', 'bell', 'device', 'group')}
OBJECTS['timer'] = ('struct timer_object', 'K_TYPE_TIMER')
OBJECTS['log'] = ('struct object', 'K_TYPE_LOG')
OBJECTS['power'] = ('struct object', 'K_TYPE_POWER')

# What the null handle stands for where it is allowed; NULL for the other types.
SELF = {'process': 'self->process', 'thread': 'self', 'space': 'self->process->space'}

SCALARS = {'u32': 'uint32_t', 'u64': 'uint64_t'}


class Arg:
    """One argument: its kind and how it is declared and passed."""

    def __init__(self, type_, name, where):
        self.name, self.slots = name, 1
        handle, struct = HANDLE.match(type_), STRUCT.match(type_)
        if type_ in SCALARS:
            self.kind, self.ctype = 'scalar', SCALARS[type_]
        elif handle:
            self.object, rights, self.null = handle[1], handle[2], bool(handle[3])
            if self.object != 'any' and self.object not in OBJECTS:
                sys.exit(f'{where}: no object type "{self.object}"')
            # "any" calls work on the handle itself: it reaches the handler as a number.
            self.kind = 'raw' if self.object == 'any' else 'object'
            self.rights = '0' if rights == '-' else ' | '.join(
                'K_RIGHT_' + r for r in rights.split('+'))
        elif type_ == 'handle_move':
            self.kind = 'raw'
        elif type_ == 'newhandle':
            self.kind = 'new'
        elif type_ in ('bytes_in', 'bytes_out'):
            self.kind, self.slots = type_, 2
        elif struct:
            self.kind, self.ctype = struct[1], SCALARS.get(struct[2], struct[2])
        else:
            sys.exit(f'{where}: no argument type "{type_}"')

    def user_decl(self):
        """The parameter of k_NAME()."""
        n = self.name
        return {
            'scalar': lambda: f'{self.ctype} {n}',
            'raw': lambda: f'k_handle_t {n}',
            'object': lambda: f'k_handle_t {n}',
            'new': lambda: f'k_handle_t *{n}',
            'in': lambda: f'const {self.ctype} *{n}',
            'out': lambda: f'{self.ctype} *{n}',
            'inout': lambda: f'{self.ctype} *{n}',
            'ref': lambda: f'{self.ctype} *{n}',
            'bytes_in': lambda: f'const void *{n}, uint64_t {n}_length',
            'bytes_out': lambda: f'void *{n}, uint64_t {n}_length',
        }[self.kind]()

    def user_values(self):
        """What the stub puts into registers."""
        n = self.name
        if self.kind in ('scalar', 'raw', 'object'):
            return [f'(uint64_t){n}']
        if self.kind.startswith('bytes'):
            return [f'(uint64_t)(uintptr_t){n}', f'{n}_length']
        return [f'(uint64_t)(uintptr_t){n}']

    def handler_decl(self):
        """The parameter of kcall_NAME()."""
        n = self.name
        return {
            'scalar': lambda: f'{self.ctype} {n}',
            'raw': lambda: f'k_handle_t {n}',
            'object': lambda: f'{OBJECTS[self.object][0]} *{n}',
            'new': lambda: f'struct new_handle *{n}',
            'in': lambda: f'const {self.ctype} *{n}',
            'out': lambda: f'{self.ctype} *{n}',
            'inout': lambda: f'{self.ctype} *{n}',
            'ref': lambda: f'uint64_t {n}',
            'bytes_in': lambda: f'const struct kbytes *{n}',
            'bytes_out': lambda: f'const struct kbytes *{n}',
        }[self.kind]()


class Call:
    def __init__(self, number, name, args, statuses, where):
        self.number, self.name = int(number), name
        self.never_returns = statuses == ['never']
        self.statuses = [] if self.never_returns else statuses
        self.args = []
        for text in args:
            type_, space, arg = text.strip().rpartition(' ')
            if not space:
                sys.exit(f'{where}: argument without a name: {text}')
            self.args.append(Arg(type_.strip(), arg, where))
        slot = 0
        for arg in self.args:
            arg.slot = slot
            slot += arg.slots
        if slot > 6:
            sys.exit(f'{where}: {name} has {slot} arguments, six are possible')

    def of(self, *kinds):
        return [a for a in self.args if a.kind in kinds]

    def prototype(self):
        args = ', '.join(a.user_decl() for a in self.args) or 'void'
        if self.never_returns:
            return f'void k_{self.name}({args}) __attribute__((noreturn))'
        return f'k_status_t k_{self.name}({args})'

    def definition(self):
        return self.prototype().replace(' __attribute__((noreturn))', '')

    def handler(self):
        args = ''.join(', ' + a.handler_decl() for a in self.args)
        if self.never_returns:
            return f'void kcall_{self.name}(struct thread *self{args}) __attribute__((noreturn));'
        return (f'k_status_t kcall_{self.name}(struct thread *self{args})\n'
                f'\t__attribute__((warn_unused_result));')


def lines(path):
    for number, raw in enumerate(open(path, encoding='utf-8'), 1):
        line = raw.split('#')[0].strip()
        if line:
            yield f'{path}:{number}', line


def read_statuses(path):
    seen, out = set(), []
    for where, line in lines(path):
        m = STATUS.match(line)
        if not m:
            sys.exit(f'{where}: cannot parse: {line}')
        if m[1] in seen or (int(m[1]) > -4097 and int(m[1]) != 0):
            sys.exit(f'{where}: the value is used twice, or could be taken for an errno')
        seen.add(m[1])
        out.append((int(m[1]), m[2], m[3], m[4]))
    return out


def split_args(text):
    return [a for a in re.split(r',(?![^(]*\))', text) if a.strip()]


def read_calls(path, statuses):
    names = {s[1] for s in statuses}
    calls = []
    for where, line in lines(path):
        m = CALL.match(line)
        if not m:
            sys.exit(f'{where}: cannot parse: {line}')
        can_return = (m[4] or '').split()
        for status in can_return:
            if status not in names and status != 'never':
                sys.exit(f'{where}: no status "{status}"')
        call = Call(m[1], m[2], split_args(m[3]), can_return, where)
        if any(c.number == call.number or c.name == call.name for c in calls):
            sys.exit(f'{where}: number or name used twice')
        calls.append(call)
    return calls


HEAD = '/* SPDX-License-Identifier: MIT */\n/* Generated by tools/gen-calls.py; edit the tables in abi/kernel. */'


def status_h(statuses, calls):
    print(f'{HEAD}\n#pragma once\n')
    for value, name, _, meaning in statuses:
        macro = 'K_OK' if name == 'OK' else f'K_ERR_{name}'
        text = f'({value})' if value else '0'
        print(f'#define {macro:<24}{text:<8} /* {meaning} */')
    errors = [s for s in statuses if s[0]]
    print('\n/* Every failure has a value in this range. */')
    print(f'#define K_ERR_FIRST\t({max(s[0] for s in errors)})')
    print(f'#define K_ERR_LAST\t({min(s[0] for s in errors)})')
    print('\n/* X(name, value, errno, meaning) for each; the errno is a name of errno.h. */')
    print('#define K_STATUS_LIST(X) \\')
    rows = [f'\tX({n}, {v}, {e}, "{m}")' for v, n, e, m in statuses]
    print(' \\\n'.join(rows))


def calls_h(statuses, calls):
    print(f'{HEAD}\n/*\n * What each call does stands at its handler in kernel/calls.  The comments here\n'
          ' * list the statuses besides those that any call can answer.\n */')
    print('#pragma once\n\n#include <stdint.h>\n\n#include "abi/status.h"\n#include "abi/types.h"\n')
    for c in calls:
        print(f'#define K_CALL_{c.name.upper():<28}{c.number}')
    print(f'#define K_CALL_COUNT{"":<22}{max(c.number for c in calls) + 1}\n')
    for c in calls:
        if c.statuses:
            print(f'/* {" ".join(c.statuses)} */')
        attribute = '' if c.never_returns else ' __attribute__((warn_unused_result))'
        print(f'{c.prototype()}{attribute};')
    print('\n/* X(number, name) for each call. */\n#define K_CALL_LIST(X) \\')
    print(' \\\n'.join(f'\tX({c.number}, {c.name})' for c in calls))


def stubs_c(statuses, calls):
    print(f'{HEAD}\n#include "abi/calls.h"\n')
    print('''#if !defined(__x86_64__)
#error "kernel call stubs exist for x86_64 only"
#endif

/* Number in rax, arguments in rdi, rsi, rdx, r10, r8, r9; SYSCALL destroys rcx and r11. */
static inline int64_t call6(uint64_t number, uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3,
			    uint64_t a4, uint64_t a5)
{
	register uint64_t r10 __asm__("r10") = a3;
	register uint64_t r8 __asm__("r8") = a4;
	register uint64_t r9 __asm__("r9") = a5;
	int64_t status;

	__asm__ volatile("syscall"
			 : "=a"(status)
			 : "a"(number), "D"(a0), "S"(a1), "d"(a2), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return status;
}

static inline int64_t call3(uint64_t number, uint64_t a0, uint64_t a1, uint64_t a2)
{
	int64_t status;

	__asm__ volatile("syscall"
			 : "=a"(status)
			 : "a"(number), "D"(a0), "S"(a1), "d"(a2)
			 : "rcx", "r11", "memory");
	return status;
}''')
    for c in calls:
        values = [v for a in c.args for v in a.user_values()]
        width = 3 if len(values) <= 3 else 6
        values = [f'K_CALL_{c.name.upper()}'] + values + ['0'] * (width - len(values))
        print(f'\n{c.definition()}\n{{')
        if c.never_returns:
            print(f'\tfor (;;)\n\t\tcall{width}({", ".join(values)});')
        else:
            print(f'\treturn (k_status_t)call{width}({", ".join(values)});')
        print('}')


def kcalls_h(statuses, calls):
    print(f'{HEAD}')
    print('''/*
 * The handlers of the kernel calls.  Objects are resolved, with a reference that
 * the dispatcher holds while the handler runs; structures are copies (or, called
 * from inside the kernel, the caller's own).  A handler reports new objects in its
 * struct new_handle arguments: the slots in the caller's table are reserved
 * already, so that a handler that succeeded has succeeded.  Values of out and
 * inout arguments reach the caller whatever the status is.
 */
#pragma once

#include <stdint.h>

#include "abi/status.h"
#include "abi/types.h"
#include "kernel/calls.h"
''')
    names = sorted({v[0] for v in OBJECTS.values()})
    for n in names:
        print(f'{n};')
    print()
    for c in calls:
        print(c.handler())


def get_objects(c, value):
    """Statements that resolve the handles; failures leave through the labels."""
    out = []
    held = []
    for a in c.of('object'):
        obj = f'{a.name}_ref'
        get = (f'handle_get(self->process, {value(a)}, {OBJECTS[a.object][1]}, {a.rights}, &{obj})')
        fail = f'goto put_{held[-1].name}' if held else 'return st'
        if a.null:
            out.append(f'\tif ({value(a)} != K_HANDLE_NONE) {{\n\t\tst = {get};\n'
                       f'\t\tif (st != K_OK)\n\t\t\t{fail};\n\t}}')
        else:
            out.append(f'\tst = {get};\n\tif (st != K_OK)\n\t\t{fail};')
        held.append(a)
    return out, held


def object_value(a):
    struct = OBJECTS[a.object][0]
    obj = f'{a.name}_ref'
    cast = obj if struct == 'struct object' else f'container_of({obj}, {struct}, object)'
    if a.null:
        return f'{obj} ? {cast} : {SELF.get(a.object, "NULL")}'
    return cast


def body(c, user):
    """One trampoline: from registers (user) or C arguments to the handler."""
    def value(a):
        return f'(k_handle_t)a[{a.slot}]' if user else a.name

    news = c.of('new')
    structs = c.of('in', 'out', 'inout') if user else []
    out = []
    for a in c.of('object'):
        out.append(f'\tstruct object *{a.name}_ref{" = NULL" if a.null else ""};')
    for a in structs:
        zero = ' = { 0 }' if a.kind == 'out' and a.ctype.startswith('struct') else \
               ' = 0' if a.kind == 'out' else ''
        out.append(f'\t{a.ctype} {a.name}{zero};')
    for a in c.of('bytes_in', 'bytes_out'):
        if user:
            out.append(f'\tconst struct kbytes {a.name} = kbytes_user(a[{a.slot}], a[{a.slot + 1}]);')
        else:
            out.append(f'\tconst struct kbytes {a.name}_bytes = kbytes_kernel({a.name}, {a.name}_length);')
    if news:
        out.append(f'\tstruct new_handle fresh[{len(news)}] = {{ 0 }};')
    if not user:
        out.append('\tstruct thread *self = current_thread();')
    if not c.never_returns:
        out.append('\tk_status_t st;')
    out.append('')
    if c.never_returns and c.of('object', 'new', 'in', 'out', 'inout', 'ref'):
        sys.exit(f'{c.name}: a call that never returns takes plain values only')

    for a in structs:
        if a.kind in ('in', 'inout'):
            out.append(f'\tif (!call_copy_in(&{a.name}, a[{a.slot}], sizeof({a.name})))\n'
                       '\t\treturn K_ERR_BAD_ADDRESS;')
    gets, held = get_objects(c, value)
    out += gets
    if news:
        out.append(f'\tst = handle_reserve(self->process, {len(news)});\n\tif (st != K_OK)\n\t\t'
                   + (f'goto put_{held[-1].name};' if held else 'return st;'))

    passed = []
    for a in c.args:
        if a.kind == 'scalar':
            passed.append(f'({a.ctype})a[{a.slot}]' if user else a.name)
        elif a.kind == 'raw':
            passed.append(value(a))
        elif a.kind == 'object':
            passed.append(object_value(a))
        elif a.kind == 'new':
            passed.append(f'&fresh[{news.index(a)}]')
        elif a.kind == 'ref':
            passed.append(f'a[{a.slot}]' if user else f'(uint64_t)(uintptr_t){a.name}')
        elif a.kind in ('bytes_in', 'bytes_out'):
            passed.append(f'&{a.name}' + ('' if user else '_bytes'))
        else:
            passed.append(f'&{a.name}' if user else a.name)
    call = f'kcall_{c.name}(self' + ''.join(f',\n\t\t{p}' for p in passed) + ');'
    if c.never_returns:
        out.append('\t' + call)
        return out
    out.append(f'\tst = {call}')
    if news:
        if user:
            slots = ', '.join(f'a[{a.slot}]' for a in news)
            out.append(f'\tst = call_install_user(self->process, fresh, {len(news)}, '
                       f'(const uint64_t[]){{ {slots} }}, st);')
        else:
            slots = ', '.join(a.name for a in news)
            out.append(f'\tst = call_install_kernel(self->process, fresh, {len(news)}, '
                       f'(k_handle_t *const[]){{ {slots} }}, st);')
    for a in structs:
        if a.kind in ('out', 'inout'):
            out.append(f'\tst = call_copy_out(a[{a.slot}], &{a.name}, sizeof({a.name}), st);')
    for i, a in enumerate(reversed(held)):
        if i > 0 or news:
            out.append(f'put_{a.name}:')
        put = f'object_put({a.name}_ref);'
        out.append(f'\tif ({a.name}_ref)\n\t\t{put}' if a.null else f'\t{put}')
    out.append('\treturn st;')
    return out


PROLOGUE = '''#include <stddef.h>
#include <stdint.h>

#include "abi/calls.h"
#include "base/list.h"
#include "kernel/bell.h"
#include "kernel/calls.h"
#include "kernel/channel.h"
#include "kernel/device.h"
#include "kernel/group.h"
#include "kernel/handle.h"
#include "kernel/memory.h"
#include "kernel/object.h"
#include "kernel/process.h"
#include "kernel/space.h"
#include "kernel/thread.h"
#include "kernel/timer_object.h"
#include "kernel/kcalls.h"
'''


def dispatch_c(statuses, calls):
    print(f'{HEAD}\n/* From the registers of a system call to the handlers. */\n{PROLOGUE}')
    for c in calls:
        print(f'static k_status_t user_{c.name}(struct thread *self, const uint64_t a[6])\n{{')
        print('\n'.join(body(c, True)))
        print('}\n')
    print('const struct call_entry call_table[K_CALL_COUNT] = {')
    for c in calls:
        print(f'\t[{c.number}] = {{ user_{c.name}, "{c.name}" }},')
    print('};')


def direct_c(statuses, calls):
    print(f'{HEAD}\n/* Kernel calls as functions, for a personality that lives in the kernel image. */\n'
          f'{PROLOGUE}')
    for c in calls:
        print(f'{c.definition()}\n{{')
        print('\n'.join(body(c, False)))
        print('}\n')


MODES = {'status-h': status_h, 'calls-h': calls_h, 'stubs-c': stubs_c, 'kcalls-h': kcalls_h,
         'dispatch-c': dispatch_c, 'direct-c': direct_c}


def main():
    if len(sys.argv) != 4 or sys.argv[1] not in MODES:
        sys.exit(__doc__)
    statuses = read_statuses(sys.argv[2])
    MODES[sys.argv[1]](statuses, read_calls(sys.argv[3], statuses))


main()
