"""The package stands alone: lark and the standard library, and lark not before there is something to parse."""

import ast
import subprocess
import sys
from pathlib import Path

import filter_grammar

PACKAGE = Path(filter_grammar.__file__).parent


def run(program: str) -> str:
    """What a program prints in an interpreter of its own."""
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=PACKAGE.parent
    )
    return result.stdout.strip()


def test_package_imports_lark_and_standard_library_only():
    """No module of the package imports anything else."""
    imported = set()
    for path in PACKAGE.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                imported |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0
                imported.add((node.module or "").partition(".")[0])
    assert imported - sys.stdlib_module_names == {"lark", "filter_grammar"}


def test_lark_waits_for_the_first_filter():
    """Importing the package, and even parsing a blank filter, does not import lark; parsing a filter does."""
    program = """
import sys
import filter_grammar
filter_grammar.parse(" ")
before = "lark" in sys.modules
filter_grammar.parse("a = 1")
print(before, "lark" in sys.modules)
"""
    assert run(program) == "False True"


def test_threads_may_parse_the_first_filter_together():
    """Many threads that parse before there is a parser all get their trees, from one parser."""
    program = """
import threading
from concurrent.futures import ThreadPoolExecutor
import filter_grammar
import lark
built = []
build = lark.Lark.__init__
def counted(self, *args, **options):
    built.append(self)
    build(self, *args, **options)
lark.Lark.__init__ = counted
together = threading.Barrier(8)
def work(number):
    together.wait()
    return all(
        filter_grammar.to_sexpr(filter_grammar.parse(f"a{number} = {n} OR (b:'x' AND NOT c:1..2)"))
        == f'(or (= a{number} {n}) (and (: b "x") (not (and (>= c 1) (<= c 2)))))'
        for n in range(50)
    )
with ThreadPoolExecutor(8) as pool:
    print(all(pool.map(work, range(8))), len(built))
"""
    assert run(program) == "True 1"


def test_package_has_all_names_and_files():
    """Every public name can be imported, and the files that are not Python are there."""
    assert all(hasattr(filter_grammar, name) for name in filter_grammar.__all__)
    assert {"grammar.lark", "README.md", "py.typed"} <= {path.name for path in PACKAGE.iterdir()}
