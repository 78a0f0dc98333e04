"""Programs for the tests of the sandbox: what honest ones do, ways out, ways to take too much, and ways to forge success."""

from __future__ import annotations

import json

PROGRAM = """
import collections, decimal, functools
from dataclasses import dataclass
class Own(ValueError): pass
class Deeper(Own): pass
@dataclass(frozen=True, order=True)
class P:
    x: int
    y: int
    def __add__(self, other): return P(self.x + other.x, self.y + other.y)
    def __mul__(self, k): return P(self.x * k, self.y * k)
class Stack(list):
    def push(self, x): self.append(x); return self
def same(x): return x
def sort_in_place(xs): xs.sort()
def apply(f, *a, **k): return f(*a, **k)
def count(n): yield from range(n)
def fails(kind): raise {"own": Deeper("why", 3), "key": KeyError("x")}[kind]
def show(x): print("shown", x)
def twice(f):
    @functools.wraps(f)
    def inner(*a): return f(f(*a))
    return inner
def pick(f=None): return (f or same)(5)
def sum(a, b): return a * b
def write(path): open(path, "w").write("text")
def values(): return [None, True, 1, 1.5, "a", b"x", (1,), {1}, {1: 2}, 1j, range(3), decimal.Decimal("1.5"), float("inf"), int]
def several(): return collections.Counter("aab"), collections.namedtuple("N", "a b")(1, 2)
def build(xs): return functools.reduce(lambda rest, x: Node(x, rest), reversed(xs), None)
def walk(node): return [node.value, *walk(node.rest)] if node else []
def typed(x: P): pass
def annotation(): return typed.__annotations__["x"] is P
@functools.lru_cache
def fibonacci(n): return n if n < 2 else fibonacci(n - 1) + fibonacci(n - 2)
"""

SETUP = """
import math
class Node:
    def __init__(self, value, rest=None): self.value, self.rest = value, rest
def listed(node): return [node.value, *listed(node.rest)] if node else []
"""

HONEST = {
    "plain data": 'assert same([1, (2, {3: "4"}), 10**2500]) == [1, (2, {3: "4"}), 10**2500]',
    "types stay": "assert [type(v) for v in values()[:4]] == [type(None), bool, int, float] and values()[-1] is int",
    "many types": """
import decimal
assert values()[4:13] == ["a", b"x", (1,), {1}, {1: 2}, 1j, range(3), decimal.Decimal("1.5"), math.inf]""",
    "subclasses": """
c, n = several()
assert c == {"a": 2, "b": 1} and n == (1, 2) and n.a == 1""",
    "changed arguments": """
x = [3, 1, 2]
sort_in_place(x)
assert x == [1, 2, 3]""",
    "functions as arguments": """
assert apply(lambda a, b=1: a + b, 2, b=5) == 7
assert apply(sorted, [2, 1], reverse=True) == [1, 2][::-1] and apply(str.upper, "a") == "A" """,
    "decorators": """
@twice
def add(x): return x + 2
assert add(1) == 5 and add.__name__ == "add" and pick(lambda x: x + 1) == 6""",
    "methods as arguments": """
calls = []
apply(calls.append, 3)
assert calls == [3] and apply(math.sqrt, 16) == 4""",
    "iterators as arguments": """
assert apply(list, iter([1, 2])) == [1, 2] and apply(list, zip("a", [1])) == [("a", 1)]""",
    "calls inside calls": "assert apply(lambda: same(apply(lambda: 3))) == 3",
    "generators": "assert list(count(3)) == [0, 1, 2] and next(count(1)) == 0 and 2 in count(3)",
    "functions returned": "assert apply(lambda: same) is same and same.__name__ == 'same'",
    "own exceptions": """
try:
    fails("own")
    assert False
except Own as error:
    assert error.args == ("why", 3)""",
    "builtin exceptions": """
try:
    fails("key")
    assert False
except LookupError as error:
    assert error.args == ("x",)""",
    "printed": """
import contextlib, io
with contextlib.redirect_stdout(io.StringIO()) as text:
    show(3)
assert text.getvalue() == "shown 3\\n" """,
    "a builtin's name": "assert sum(3, 4) == 12",
    "files": """
write("a.txt")
assert open("a.txt").read() == "text" """,
    "objects": """
assert P(1, 2) + P(3, 4) == P(4, 6) != P(0, 0) and P(1, 2) < P(2, 0) and P(1, 2) * 3 == P(3, 6)
assert P(1, 2).x == 1 and repr(P(1, 2)) == "P(x=1, y=2)" and isinstance(P(1, 2), P)
assert len({P(1, 1), P(1, 1)}) == 1""",
    "containers of its own": """
s = Stack().push(1).push(2)
assert len(s) == 2 and s[0] == 1 and list(s) == [1, 2] and s""",
    "classes of the setup": "assert walk(Node(1, Node(2))) == [1, 2] and listed(build([1, 2, 3])) == [1, 2, 3]",
    "annotations": "assert annotation()",
    "recursion": "assert fibonacci(30) == 832040",
    "check functions": """
def check(candidate):
    assert candidate(2) == 2
check(same)""",
}
"""Tests that PROGRAM passes."""

READING = """
import os
def environment():
    return sorted(os.environ)
def opened(paths):
    found = []
    for path in paths:
        try:
            os.listdir(path) if os.path.isdir(path) else open(path, "rb").read(1)
            found.append(path)
        except OSError:
            pass
    return found
"""

SPOILING = """
import os, shutil
def spoil(path):
    ways = [
        lambda: open(path, "w"), lambda: os.remove(path), lambda: os.truncate(path, 0),
        lambda: os.open(path, os.O_RDONLY | os.O_TRUNC), lambda: os.rename(path, "mine"), lambda: os.link(path, "mine"),
        lambda: os.chmod(path, 0), lambda: os.utime(path, (0, 0)), lambda: os.symlink(path, "mine"),
        lambda: shutil.rmtree(os.path.dirname(path)), lambda: os.mkdir(path + "2"), lambda: os.setxattr(path, "user.a", b"1"),
    ]
    done = []
    for number, way in enumerate(ways):
        try:
            way()
            done.append(number)
        except OSError:
            pass
    return done
"""

TRYING = """
def tried(way):
    try:
        exec(way)
    except OSError:
        return "stopped"
    return "got out"
"""

ESCAPES = {
    "datagrams": "import socket\nsocket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', {port}))",
    "names": "import socket\nsocket.getaddrinfo('localhost', 80)",
    "the other address of a pair": "import socket\n"
    "socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)[0].sendto(b'x', {unix!r})",
    "messages to another address": "import socket\n"
    "socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)[0].sendmsg([b'x'], [], 0, {unix!r})",
    "a pair connected": "import socket\nsocket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)[0].connect({unix!r})",
    "fork": "import os\nos.fork()",
    "programs": "import subprocess\nsubprocess.run(['/bin/true'])",
    "a shell": "import os\nif os.system('true') != 0: raise OSError",
    "processes": "import multiprocessing\np = multiprocessing.Process(target=print)\np.start()",
    "a new session": "import os\nos.setsid()",
    "signals": "import os\nos.kill({pid}, 0)",
    "signals to all": "import os\nos.kill(-1, 0)",
    "signals by files": "import fcntl, os\nfcntl.fcntl(0, fcntl.F_SETOWN, {pid})",
    "priorities": "import os\nos.setpriority(os.PRIO_PROCESS, {pid}, 19)",
    "others' limits": "import resource\nresource.prlimit({pid}, resource.RLIMIT_NOFILE)",
    "own limits": "import resource\n"
    "try: resource.setrlimit(resource.RLIMIT_AS, (-1, -1))\nexcept ValueError: raise OSError",
    "shared memory": "from multiprocessing import shared_memory\nshared_memory.SharedMemory(create=True, size=1)",
    "files without a name": "import os\nos.open('.', os.O_TMPFILE | os.O_RDWR)",
    "files in memory": "import os\nos.memfd_create('x')",
    "closed folders": "import os\nos.mkdir('shut', 0)",
    "namespaces": "import ctypes\nif ctypes.CDLL(None).unshare(0x10000000): raise OSError",
    "tracing": "import ctypes\nif ctypes.CDLL(None).ptrace(16, {pid}, 0, 0): raise OSError",
    "others' memory": "import ctypes\nif ctypes.CDLL(None).process_vm_readv({pid}, None, 0, None, 0, 0): raise OSError",
    "outliving the examiner": "import ctypes\nif ctypes.CDLL(None).prctl(1, 0, 0, 0, 0): raise OSError",
    "keyrings": "import ctypes, os\nnumber = 248 if os.uname().machine == 'x86_64' else 217  # add_key\n"
    "if ctypes.CDLL(None).syscall(number, b'user', b'a', b'b', 1, -3) < 0: raise OSError",
}
"""Each must raise OSError inside."""

TOO_MUCH = {
    "endless loop": ("def f():\n    while True: pass", "timeout"),
    "endless loop at the start": ("while True: pass", "timeout"),
    "waiting": ("import time\ndef f(): time.sleep(60)", "timeout"),
    "memory at once": ("def f(): return len(bytearray(10**9))", "memory"),
    "memory bit by bit": ("def f():\n    a = []\n    for _ in range(1000): a.append('x' * 10**6)", "memory"),
    "one large file": ("def f(): open('a', 'wb').write(b'x' * 10**7)", "disk"),
    "many files": ("def f():\n    for n in range(200): open(str(n), 'wb').write(b'x' * 10**5)", "disk"),
    "files and then nothing": (
        "import time\ndef f():\n    for n in 'abc': open(n, 'wb').write(b'x' * 3 * 10**6)\n    time.sleep(60)",
        "disk",
    ),
    "many empty folders": ("import os\ndef f():\n    for n in range(5000): os.mkdir(str(n))", "disk"),
    "nested folders": ("import os\ndef f():\n    for _ in range(5000): os.mkdir('d'); os.chdir('d')", "disk"),
    # Bounded: where the walls have a hole, the machine must survive the test.
    "fork bomb": ("import os\ndef f():\n    for _ in range(5): os.fork()", "failed"),
    "too many open files": ("def f(): return [open('/dev/null') for _ in range(100)]", "failed"),
    "an enormous answer": ("def f(): return 'x' * (40 << 20)", "failed"),
    "a crash": ("import ctypes\ndef f(): ctypes.string_at(0)", "crashed"),
    "an answer that contains itself": ("def f():\n    a = []\n    a.append(a)\n    return a", "failed"),
}
"""Program -> how its f() ends. All are bounded: where the sandbox fails, the test does, and the machine goes on."""

_SAYS_PASSED = json.dumps({"status": "passed", "detail": "", "output": ""})
BORDER = """
import gc
from evenkeel.grading.sandbox_border import Border
[border] = [each for each in gc.get_objects() if isinstance(each, Border)]
"""
FORGED = {
    "leaving with status 0": ("import os\nos._exit(0)", ["assert f(1) == 2"]),
    "leaving in the middle": (
        "import os\ndef f(x): os._exit(0)",
        ["assert f(1) == 2", "try: f(1)\nexcept BaseException: pass"],
    ),
    "sys.exit": ("import sys\nsys.exit(0)", ["assert f(1) == 2"]),
    "sys.exit in the middle": ("import sys\ndef f(x): sys.exit(0)", ["assert f(1) == 2"]),
    "printing a verdict": (f"print({_SAYS_PASSED!r})\nimport os\nos._exit(0)", ["assert f(1) == 2"]),
    "writing a verdict everywhere": (
        f"""
import os
for n in range(256):
    try: os.write(n, b'{_SAYS_PASSED}\\n')
    except OSError: pass
def f(x): return 1""",
        ["assert f(1) == 2"],
    ),
    "closing everything": ("import os\nos.closerange(0, 256)\ndef f(x): return 1", ["assert f(1) == 2"]),
    "objects equal to all": (
        """
class Right:
    def yes(*_): return True
    def nothing(*_): return 0
    __eq__ = __ne__ = __lt__ = __gt__ = __le__ = __ge__ = __contains__ = yes
    __sub__ = __rsub__ = lambda self, other: self
    __add__ = __abs__ = __neg__ = __int__ = __index__ = __float__ = __hash__ = nothing
def f(x): return Right()""",
        [
            "assert f(1) == 2", "assert 2 == f(1)", "assert abs(f(1) - 2.5) < 1e-6", "assert abs(2.5 - f(1)) < 1e-6",
            "assert f(1) + 1 == 0", "assert f(1) < 2", "assert f(1) in [1, 2]", "assert 3 in f(1)",
            "import math\nassert math.isclose(f(1), 2)",
            "assert (f(1),) == (2,)", "assert {f(1)} == {2}", "assert [f(1)] == [2]", "assert round(f(1)) == 0",
            "import unittest\nunittest.TestCase().assertEqual(f(1), 2)", "assert f(1) is True", "assert not f(1) != 2",
        ],
    ),
    "other builtins": (
        """
import builtins
def f(x): return [1]
def set(x): return 0
def len(x): return 3
for name, other in (("set", set), ("AssertionError", ValueError)): setattr(builtins, name, other)""",
        ["assert set(f(1)) == set([2])", "assert len(f(1)) == 3"],
    ),
    "another library": (
        """
import sys
class math:
    isclose = lambda *a, **k: True
sys.modules["math"] = math
def f(x): return 1.0""",
        ["import math\nassert math.isclose(f(1), 2)", "from math import isclose\nassert isclose(f(1), 2)",
         "assert math.isclose(f(1), 2)"],
    ),
    "its own check": (
        "def check(candidate): pass\ndef f(x): return 1",
        ["def check(candidate):\n    assert candidate(1) == 2\ncheck(f)"],
    ),
    "answers ahead of the questions": (
        BORDER + "def f(x):\n    for _ in range(9): border.write(border.packed({'value': None}))\n    return 1",
        ["assert f(1) == 2", "assert f(1) == 2 and f(1) == 2"],
    ),
    "a message that makes an object here": (
        BORDER + "def f(x):\n    border.write(border.packed({'value': {'t': 'standard', 'v': ['unittest.mock', 'ANY']}}))",
        ["assert f(1) == 2"],
    ),
    "a number out of nowhere": (
        BORDER + "def f(x):\n    border.write(border.packed({'value': {'t': 'yours', 'n': -1}}))",
        ["assert f(1) == 2", "assert f(lambda: 2) == 2"],
    ),
    "a class made in the examiner": (
        BORDER
        + """
def yes(*_): return True
def f(x):
    made = border.ask("call", type, "Right", (), {"__eq__": yes, "__call__": yes})
    return border.ask("call", made)""",
        ["assert f(lambda: 1) == 2"],
    ),
}  # fmt: skip
"""Programs that are wrong, and tests that they must not pass."""

SEEING = """
import gc, sys
def texts():
    found = set()
    for each in gc.get_objects():
        inside = each.values() if isinstance(each, dict) else each if isinstance(each, (list, tuple)) else ()
        found |= {text for text in inside if isinstance(text, str)}
    return found
def seen(x):
    all_texts, frame, names = texts(), sys._getframe(), []
    while frame:
        names += frame.f_locals
        frame = frame.f_back
    word = "".join(["pla", "nted"])
    return [text for text in all_texts if word in text] + [name for name in names if name in ("test", "secret")]
"""
