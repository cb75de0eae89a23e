"""Where the CPU time goes: stacks sampled by perf, summed up as text.

perf samples the server's threads by the CPU clock and copies a piece of the stack with each sample; unwinding that
needs no frame pointers, so any release binary will do. A frame's *self* share is the samples that ended in it, its
*inclusive* share those that passed through it.
"""

import collections
import pathlib
import re
import subprocess

FREQUENCY = 997
STACK = 16384

# From the first of these inwards a stack says something: outside are threads and the scheduler.
ENTRY = re.compile(r"worker::Context::run_task|worker::run$|runtime::scheduler::|thread_start|^main$")
# Frames that only pass a call on.
PASSING = re.compile(r"runtime::task::(raw|core|harness)|Unconstrained<|TrackedFuture|PollFn<|Instrumented<|LocalKey<|budget")
GROUPS = [
    ("allocator", re.compile(r"^_?mi_|mimalloc|^malloc$|^_int_malloc|^cfree|^_int_free|^realloc|je_|^__rust_(de|re)?alloc")),
    ("cryptography", re.compile(r"aws_lc|^aes_|^gcm_|^ecp_|^x25519|^sha\d|chacha|poly1305", re.IGNORECASE)),
    ("memory copies", re.compile(r"^__?mem(cpy|move|set|cmp)|_avx_unaligned|_avx512_unaligned|_erms")),
]


def record(pid: int, seconds: float, file: pathlib.Path) -> subprocess.Popen:
    return subprocess.Popen(
        ["perf", "record", "-e", "cpu-clock", "-F", str(FREQUENCY), "--call-graph", f"dwarf,{STACK}", "-p", str(pid),
         "-o", str(file), "--", "sleep", str(seconds)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def read(file: pathlib.Path) -> list[list[str]]:
    """Samples, each from the outermost frame to the innermost."""
    script = subprocess.run(
        ["perf", "script", "-i", str(file), "--no-inline", "-F", "comm,ip,sym,dso"], stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL, text=True, check=True)
    samples, stack = [], []
    for line in script.stdout.splitlines():
        found = re.match(r"\s+[0-9a-f]+ (.*) \(([^()]*)\)$", line)
        if found and found[1] != "[unknown]":
            stack.append(frame(found[1], found[2]))
        elif not found and stack:
            samples.append(with_system_call(stack[::-1]))
            stack = []
    if stack:
        samples.append(with_system_call(stack[::-1]))
    return samples


def frame(symbol: str, module: str) -> str:
    if "kernel" in module:
        return f"kernel`{symbol}"
    if module == "[vdso]":
        return f"vdso`{symbol}"
    return re.sub(r"\+0x[0-9a-f]+$", "", symbol).replace("{{closure}}", "{closure}")


def with_system_call(stack: list[str]) -> list[str]:
    """Puts the call's name where the kernel was entered: `syscall sendto`."""
    if "kernel`do_syscall_64" not in stack:
        return stack
    entry = stack.index("kernel`do_syscall_64")
    inside = stack[entry + 1] if entry + 1 < len(stack) else "kernel`other"
    if "exit_to_user_mode" in inside:
        inside = "kernel`return to user"
    name = re.sub(r"^kernel`(__x64_sys_|__sys_|ksys_|__do_sys_|do_)?", "", inside)
    return [each for each in stack[:entry] if "entry_SYSCALL" not in each] + [f"syscall {name}"] + stack[entry + 1:]


def group(stack: list[str]) -> str:
    """What a sample was spent on, judged by its innermost frames."""
    leaf = stack[-1]
    call = next((each for each in stack if each.startswith("syscall ")), None)
    if call or leaf.startswith("kernel`"):
        return call or "kernel: interrupts and page faults"
    for title, pattern in GROUPS:
        if pattern.search(leaf):
            return title
    found = re.match(r"<*(?:&|mut |dyn )*([a-z_0-9]+)::", leaf)
    return found[1] if found else leaf


def summary(samples: list[list[str]], least: float = 0.005) -> list[str]:
    """Groups, self and inclusive shares, and the tree of calls, as lines."""
    total = max(len(samples), 1)
    groups, own, inclusive = (collections.Counter() for _ in range(3))
    for stack in samples:
        groups[group(stack)] += 1
        own[stack[-1]] += 1
        inclusive.update(set(trimmed(stack)))
    lines = []
    for title, counts in (("By group", groups), ("Self", own), ("Inclusive", inclusive)):
        lines += ["", title]
        lines += [f"{count / total:7.1%}  {name}" for name, count in counts.most_common(45) if count / total >= least]
    lines += ["", "Calls of at least 1.5 %, from the scheduler inwards; system calls are not taken apart"]
    lines += tree(samples, total, 0.015)
    return lines


def trimmed(stack: list[str]) -> list[str]:
    """Without the scheduler outside and the kernel inside of a system call."""
    start = max((index + 1 for index, each in enumerate(stack) if ENTRY.search(each)), default=0)
    inner = [each for each in stack[start:] if not PASSING.search(each)] or stack[-1:]
    call = next((index for index, each in enumerate(inner) if each.startswith("syscall ")), len(inner))
    return inner[:call + 1]


def tree(samples: list[list[str]], total: int, least: float) -> list[str]:
    root = {"count": 0, "inner": {}}
    for stack in samples:
        node = root
        for each in trimmed(stack):
            node = node["inner"].setdefault(each, {"count": 0, "inner": {}})
            node["count"] += 1
    lines = []

    def walk(node, depth):
        for name, inner in sorted(node["inner"].items(), key=lambda pair: -pair[1]["count"]):
            if inner["count"] / total >= least:
                lines.append(f"{inner['count'] / total:7.1%}  {'  ' * depth}{name}")
                walk(inner, depth + 1)

    walk(root, 0)
    return lines
