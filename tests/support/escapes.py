"""Ways out of a confined process: statements for `caged.outcome`, each of which reaches for one thing outside.

They see `given` (see `Scene` in the test) and `number(name)`, the number of a system call on this machine.
"""

from __future__ import annotations

import os

_NUMBERS = {
    "x86_64": {
        "fork": 57, "vfork": 58, "clone": 56, "clone3": 435, "kill": 62, "tkill": 200, "tgkill": 234, "rt_sigqueueinfo": 129,
        "ptrace": 101, "process_vm_readv": 310, "process_vm_writev": 311, "kcmp": 312, "execveat": 322, "memfd_create": 319,
        "bpf": 321, "userfaultfd": 323, "perf_event_open": 298, "keyctl": 250, "add_key": 248, "unshare": 272, "setns": 308,
        "mount": 165, "chroot": 161, "name_to_handle_at": 303, "open_by_handle_at": 304, "personality": 135, "shmget": 29, "shmat": 30,
        "mq_open": 240, "pkey_mprotect": 329, "seccomp": 317, "inotify_init1": 294, "fanotify_init": 300, "sched_setaffinity": 203,
        "setpriority": 141, "prctl": 157, "mprotect": 10, "getpid": 39,
    },
    "aarch64": {
        "clone": 220, "clone3": 435, "kill": 129, "tkill": 130, "tgkill": 131, "rt_sigqueueinfo": 138,
        "ptrace": 117, "process_vm_readv": 270, "process_vm_writev": 271, "kcmp": 272, "execveat": 281, "memfd_create": 279,
        "bpf": 280, "userfaultfd": 282, "perf_event_open": 241, "keyctl": 219, "add_key": 217, "unshare": 97, "setns": 268,
        "mount": 40, "chroot": 51, "name_to_handle_at": 264, "open_by_handle_at": 265, "personality": 92, "shmget": 194, "shmat": 196,
        "mq_open": 180, "pkey_mprotect": 288, "seccomp": 277, "inotify_init1": 26, "fanotify_init": 262, "sched_setaffinity": 122,
        "setpriority": 140, "prctl": 167, "mprotect": 226, "getpid": 172,
    },
}  # fmt: skip
_SAME_EVERYWHERE = {"pidfd_send_signal": 424, "io_uring_setup": 425, "open_tree": 428, "pidfd_open": 434, "pidfd_getfd": 438}
NUMBERS = {**_NUMBERS.get(os.uname().machine, {}), **_SAME_EVERYWHERE}

PLAIN = {
    "reads the parent's environment": "open(f'/proc/{os.getppid()}/environ', 'rb').read()",
    "opens the parent's memory": "open(f'/proc/{os.getppid()}/mem', 'rb')",
    "opens its own memory to write": "open('/proc/self/mem', 'r+b')",
    "opens a descriptor of its own again": "os.open(f'/proc/self/fd/1', os.O_WRONLY)",
    "reads a file": "open(given['file']).read()",
    "lists a directory": "os.listdir(given['directory'])",
    "asks whether a file is there": "os.stat(given['file'])",
    "makes a file": "open(given['directory'] + '/new', 'w')",
    "appends to a file": "open(given['file'], 'a')",
    "truncates a file": "os.truncate(given['file'], 0)",
    "deletes a file": "os.unlink(given['spare'])",
    "renames a file": "os.rename(given['file'], given['file'] + '.moved'); os.rename(given['file'] + '.moved', given['file'])",
    "makes a directory": "os.mkdir(given['directory'] + '/made')",
    "makes a symbolic link": "os.symlink('/', given['directory'] + '/link')",
    "makes a named pipe": "os.mkfifo(given['directory'] + '/fifo')",
    "changes a file's mode": "os.chmod(given['file'], 0o600)",
    "changes a file's times": "os.utime(given['file'])",
    "changes its directory": "os.chdir('/')",
    "connects to loopback over TCP": "s = socket.socket(); s.settimeout(5); s.connect(('127.0.0.1', given['port']))",
    "sends a datagram to loopback": "socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', given['port']))",
    "connects to a Unix socket": "socket.socket(socket.AF_UNIX).connect(given['unix'])",
    "connects to an abstract Unix socket": "socket.socket(socket.AF_UNIX).connect('\\0' + given['abstract'])",
    "makes a pair of sockets": "socket.socketpair()",
    "asks netlink": "socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)",
    "starts a program": "subprocess.run(['/bin/true'], check=True)",
    "forks": "pid = os.fork()\nif pid == 0:\n    os._exit(0)\nos.waitpid(pid, 0)",
    "clones a process": (
        "pid = call(number('clone'), signal.SIGCHLD, 0, 0, 0, 0)\nif pid == 0:\n    os._exit(0)\nos.waitpid(pid, 0)"
    ),
    "signals the parent": "os.kill(os.getppid(), 0)",
    "signals another process": "os.kill(given['victim'], signal.SIGCONT)",
    "signals its process group": "signal.signal(signal.SIGURG, signal.SIG_IGN); os.killpg(0, signal.SIGURG)",
    "has a descriptor signal another process": "import fcntl; fcntl.fcntl(1, fcntl.F_SETOWN, given['victim'])",
    "opens a handle on the parent": "os.close(call(number('pidfd_open'), os.getppid(), 0))",
    "maps executable memory": "mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_EXEC)",
    "maps writable executable memory": "mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)",
    "makes memory executable": (
        "area = mmap.mmap(-1, 4096); call(number('mprotect'), ctypes.addressof(ctypes.c_char.from_buffer(area)), 4096, 5)"
    ),
    "makes a file in memory": "os.close(call(number('memfd_create'), ctypes.c_char_p(b'x'), 0))",
    "lowers a limit": "resource.setrlimit(resource.RLIMIT_NPROC, resource.getrlimit(resource.RLIMIT_NPROC))",
    "reads a limit of the parent": "resource.prlimit(os.getppid(), resource.RLIMIT_CPU)",
    "makes itself dumpable": "call(number('prctl'), 4, 1, 0, 0, 0)",
    "outlives its parent": "call(number('prctl'), 1, 0, 0, 0, 0)",
    "leaves its session": "os.getpgid(given['victim'])",
    "watches files": "os.close(call(number('inotify_init1'), 0))",
    "makes shared memory": "call(number('shmget'), 0, 4096, 0o600)",
    "chooses its CPUs": "os.sched_setaffinity(0, os.sched_getaffinity(0))",
    "changes a priority": "os.setpriority(os.PRIO_PROCESS, 0, os.getpriority(os.PRIO_PROCESS, 0))",
}  # fmt: skip
"""What any process may do, unless it is confined."""

OTHERS = {
    "forks by vfork": "call(number('vfork'))" if "vfork" in NUMBERS else "os.fork()",
    "clones a thread in a new network": "call(number('clone'), 0x7D0F00 | 0x40000000, 0, 0, 0, 0)",
    "clones with flags above 32 bits": "call(number('clone'), 0x7D0F00 | 1 << 33, 0, 0, 0, 0)",
    "clones by clone3": "call(number('clone3'), ctypes.create_string_buffer(88), 88)",
    "starts a program from a descriptor": "call(number('execveat'), 1, ctypes.c_char_p(b''), None, None, 0x1000)",
    "traces the parent": "call(number('ptrace'), 16, os.getppid(), 0, 0)",
    "has the parent trace it": "call(number('ptrace'), 0, 0, 0, 0)",
    "reads memory of the parent": "call(number('process_vm_readv'), os.getppid(), 0, 0, 0, 0, 0)",
    "writes memory of the parent": "call(number('process_vm_writev'), os.getppid(), 0, 0, 0, 0, 0)",
    "compares itself with the parent": "call(number('kcmp'), os.getpid(), os.getppid(), 0, 0, 0)",
    "takes a descriptor of the parent": "call(number('pidfd_getfd'), 1, 0, 0)",
    "signals through a handle": "call(number('pidfd_send_signal'), 1, 0, None, 0)",
    "signals a thread of the parent": "call(number('tgkill'), os.getppid(), os.getppid(), 0)",
    "signals a thread without its process": "call(number('tkill'), os.getppid(), 0)",
    "queues a signal": "call(number('rt_sigqueueinfo'), os.getppid(), 0, ctypes.create_string_buffer(128))",
    "sets up io_uring": "call(number('io_uring_setup'), 1, ctypes.create_string_buffer(120))",
    "loads a BPF program": "call(number('bpf'), 5, ctypes.create_string_buffer(120), 120)",
    "handles page faults": "call(number('userfaultfd'), 0)",
    "counts events": "call(number('perf_event_open'), ctypes.create_string_buffer(112), 0, -1, -1, 0)",
    "reads a keyring": "call(number('keyctl'), 0, -3, 0, 0, 0)",
    "adds a key": "call(number('add_key'), ctypes.c_char_p(b'user'), ctypes.c_char_p(b'k'), ctypes.c_char_p(b'v'), 1, -3)",
    "makes a namespace of users": "call(number('unshare'), 0x10000000)",
    "makes a namespace of mounts": "call(number('unshare'), 0x20000)",
    "enters a namespace": "call(number('setns'), 1, 0)",
    "mounts": "call(number('mount'), None, None, None, 0, None)",
    "opens a tree of mounts": "call(number('open_tree'), -100, ctypes.c_char_p(b'/'), 0)",
    "changes its root": "call(number('chroot'), ctypes.c_char_p(b'/'))",
    "asks for a file's handle": "call(number('name_to_handle_at'), -100, ctypes.c_char_p(b'/'), ctypes.create_string_buffer(136), None, 0)",
    "opens a file by its handle": "call(number('open_by_handle_at'), -100, ctypes.create_string_buffer(136), 0)",
    "makes readable memory executable": "call(number('personality'), 0x0400000)",
    "makes memory executable with a key": "call(number('pkey_mprotect'), 0, 4096, 5, -1)",
    "maps shared memory as code": "call(number('shmat'), 0, 0, 0o100000)",
    "opens a message queue": "call(number('mq_open'), ctypes.c_char_p(b'x'), 0)",
    "watches a file system": "call(number('fanotify_init'), 0, 0)",
    "installs a filter of its own": "call(number('prctl'), 22, 2, 0, 0, 0)",
    "installs a filter by system call": "call(number('seccomp'), 1, 0, None)",
    "raises a limit": (
        "library.prlimit.argtypes = None\nif library.prlimit(0, 7, (ctypes.c_ulong * 2)(4096, 4096), None) == -1:\n"
        "    raise OSError(ctypes.get_errno(), '')"
    ),
    "types into a terminal": "import fcntl; fcntl.ioctl(given['terminal'], 0x5412, b'x')",
    "takes a terminal": "import fcntl; fcntl.ioctl(given['terminal'], 0x540E, 1)",
    "uses a call that is newer than the list": "call(900)",
}  # fmt: skip
"""What takes privileges or a kernel's option, or is too risky without the cage."""
