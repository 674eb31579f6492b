"""What holds for every filter: round trips, the laws of logic, and two judges that agree."""

import json
import re
from fractions import Fraction

from hypothesis import example, given, settings
from hypothesis import strategies as st

from filter_grammar import (
    And,
    Comparison,
    Expr,
    Fields,
    FilterError,
    Limits,
    Not,
    Null,
    Number,
    Or,
    Present,
    Text,
    check,
    matches,
    parse,
    render,
    to_sexpr,
)
from filter_grammar.ast import conjunction, disjunction
from filter_grammar.lexis import NUMERAL, is_bare
from tests.examples import examples

UNLIMITED = Limits(None, None, None)

# Few names, values and digits, so that filters and documents meet.
NAMES = ["a", "b", "a.b", "first name", "AND", ""]
VALUES = ["", "x", "X", "10", "9", "9.0", "-1", "1e1", "007", "null", "*", "nan", "x y", 'q"\\', "５"]
ODD = st.text(st.sampled_from([*"aZ0.-_/\\\"'()[]{}<>=!:,*& \t\n", "é", "日", "\u00a0", "\ud800", "\ufeff"]))

names = st.sampled_from(NAMES)
documents = st.dictionaries(names, st.sampled_from(VALUES))
texts = st.builds(Text, st.sampled_from(VALUES) | ODD)
numbers = st.builds(
    Number, st.sampled_from(["10", "9", "-1", "0.90e1", "1E+1", "007"]) | st.from_regex(NUMERAL, fullmatch=True)
)
operators = st.sampled_from(["=", "!=", "<", "<=", ">", ">=", ":"])
paths = names.map(lambda name: tuple(name.split("."))) | st.lists(ODD, min_size=1, max_size=3).map(tuple)
comparisons = st.builds(Comparison, paths, operators, texts | numbers | st.builds(Null)) | st.builds(
    Comparison, paths, st.just(":"), st.builds(Present)
)


def trees(leaves):
    """Canonical trees over these leaves."""
    return st.recursive(
        leaves,
        lambda below: (
            st.builds(Not, below)
            | st.lists(below, min_size=2, max_size=4).map(lambda operands: conjunction(*operands))
            | st.lists(below, min_size=2, max_size=4).map(lambda operands: disjunction(*operands))
        ),
        max_leaves=12,
    )


filters = trees(comparisons) | st.just(And(()))


@given(filters)
def test_rendering_round_trips(expr):
    """What is rendered parses to the same tree, and renders the same again."""
    text = render(expr)
    assert parse(text, UNLIMITED) == expr
    assert render(parse(text, UNLIMITED)) == text


@given(filters, filters)
def test_trees_are_equal_when_their_notation_is(one, other):
    """Equality, hash and the notation of trees agree."""
    assert (one == other) is (to_sexpr(one) == to_sexpr(other))
    assert one == parse(render(one), UNLIMITED)
    assert hash(one) == hash(parse(render(one), UNLIMITED))


@given(filters, filters, documents)
def test_laws_of_logic_hold(one, other, fields):
    """De Morgan, double negation, commuting, and the laws that join them, hold on every document."""
    p, q = matches(one, fields), matches(other, fields)
    assert matches(conjunction(one, other), fields) is (p and q)
    assert matches(disjunction(one, other), fields) is (p or q)
    assert matches(Not(one), fields) is (not p)
    assert matches(Not(And((one, other))), fields) is matches(Or((Not(one), Not(other))), fields)
    assert matches(Not(Or((one, other))), fields) is matches(And((Not(one), Not(other))), fields)
    assert matches(Not(Not(one)), fields) is p
    assert matches(Or((other, And((one, other)))), fields) is q
    assert matches(And((one, Or(()))), fields) is False
    assert matches(Or((one, And(()))), fields) is True


# --- a second judge: reads the notation of trees, and computes with sets of documents and with fractions


def verdicts(sexpr: str, docs: list[dict[str, str]]) -> frozenset[int]:
    """Which of the documents a tree in prefix notation accepts."""
    words = re.findall(r'[()]|(?:"(?:[^"\\]|\\.)*"|[^\s()"])+', sexpr)
    everything = frozenset(range(len(docs)))

    def read():
        head = words.pop(0)
        if head != "(":
            return head
        items = []
        while words[0] != ")":
            items.append(read())
        words.pop(0)
        return items

    def evaluate(tree) -> frozenset[int]:
        head, *rest = tree
        if head == "and":
            return everything.intersection(*map(evaluate, rest))
        if head == "or":
            return frozenset().union(*map(evaluate, rest))
        if head == "not":
            return everything - evaluate(rest[0])
        key = re.sub(r'"(?:[^"\\]|\\.)*"', lambda match: json.loads(match[0], strict=False), rest[0])
        present = frozenset(at for at in everything if key in docs[at])
        if rest[1] == "*":
            return present
        if rest[1] == "null":
            return {"=": everything - present, ":": everything - present, "!=": present}.get(head, frozenset())
        return frozenset(at for at in present if holds(head, docs[at][key], rest[1]))

    return evaluate(read())


def holds(operator: str, stored: str, argument: str) -> bool:
    """Whether a text stands in this relation to an argument, written as in a tree."""
    if argument.startswith('"'):
        wanted = json.loads(argument, strict=False)
        left, right = list(map(ord, stored)), list(map(ord, wanted))
        order = (left > right) - (left < right)
    else:
        number = fraction(stored)
        if number is None:
            return operator == "!="
        difference = number - fraction(argument)
        order = (difference > 0) - (difference < 0)
    signs = {":": "0", "=": "0", "!=": "+-", "<": "-", "<=": "-0", ">": "+", ">=": "+0"}
    return "-0+"[order + 1] in signs[operator]


def fraction(text: str) -> Fraction | None:
    """The number a text spells, digit by digit."""
    mantissa, _, exponent = text.replace("E", "e").partition("e")
    whole, dot, decimals = mantissa.partition(".")
    digits, power = whole.removeprefix("-") + decimals, exponent.lstrip("+-")
    parts = [whole.removeprefix("-"), *([decimals] if dot else []), *([power] if "e" in text.lower() else [])]
    if not all(part and set(part) <= set("0123456789") for part in parts) or len(exponent) - len(power) > 1:
        return None
    shift = int("-" * exponent.startswith("-") + (power or "0")) - len(decimals)
    value = int(digits) * Fraction(10) ** shift
    return -value if whole.startswith("-") else value


small_numbers = st.builds(Number, st.from_regex(r"-?[0-9]{1,3}(\.[0-9]{1,2})?([eE][+-]?[0-9])?", fullmatch=True))
judged = trees(
    st.builds(Comparison, paths, operators, texts | small_numbers | st.builds(Null))
    | st.builds(Comparison, paths, st.just(":"), st.builds(Present))
)


@settings(max_examples=examples(200))
@given(judged, st.lists(documents, min_size=1, max_size=6))
def test_independent_evaluator_agrees(expr, docs):
    """A judge that shares nothing with ours but the notation of trees accepts the same documents."""
    ours = {at for at, fields in enumerate(docs) if matches(expr, fields)}
    assert ours == verdicts(to_sexpr(expr), docs)


@given(filters, documents)
def test_free_metadata_is_read_as_metadata(expr, fields):
    """A name below the prefix of free metadata means what it means on the metadata alone."""
    checked = check(below_prefix(expr), Fields(free="fields"))
    assert checked.matches({"fields": fields}) is matches(expr, fields)


def below_prefix(expr):
    """The tree with every name put below `fields`."""
    if isinstance(expr, Comparison):
        return Comparison(("fields", *expr.path), expr.operator, expr.argument)
    if isinstance(expr, Not):
        return Not(below_prefix(expr.operand))
    return type(expr)(tuple(map(below_prefix, expr.operands)))


# --- precedence, against a parser that only knows how to split


def split(text: str):
    """The tree of a filter without parentheses: cut at AND, at blanks, at OR."""
    sequences = [re.split(r"(?<!\bOR)(?<!\bNOT) (?!OR )", sequence) for sequence in text.split(" AND ")]
    factors = [factor.split(" OR ") for sequence in sequences for factor in sequence]
    return conjunction(*(disjunction(*map(term, terms)) for terms in factors))


def term(text: str):
    negated = text.startswith(("-", "NOT "))
    name, value = text.removeprefix("-").removeprefix("NOT ").split("=")
    comparison = Comparison((name,), "=", Text(value))
    return Not(comparison) if negated else comparison


terms = st.tuples(st.sampled_from(["", "-", "NOT "]), st.sampled_from(["a", "ORc", "xAND", "NOTE"])).map(
    lambda pair: f"{pair[0]}{pair[1]}=v"
)


@given(st.lists(st.tuples(st.sampled_from([" AND ", " OR ", " "]), terms), min_size=1, max_size=8))
def test_precedence(pieces):
    """AND, blanks, OR and NOT bind in this order, from the loosest to the tightest."""
    text = "".join(piece for pair in pieces for piece in pair)[len(pieces[0][0]) :]
    assert parse(text) == split(text)


# --- texts that are no filters


FRAGMENTS = [
    *("a", "b.c", "=", "!=", "<", ">=", ":", ":>", ":!", "..", ".", "-", "AND", "OR", "NOT", "and", "null", "*", "IN"),
    *(
        "(",
        ")",
        " ",
        "  ",
        "\n",
        "\t",
        '"',
        "'",
        "\\",
        "1",
        "-2.5e3",
        "10..20",
        '"x y"',
        "'",
        ",",
        "[0]",
        "&&",
        "é",
        "😀",
    ),
    *("2026-01-31T00:00:00Z", "\u00a0", "\ufeff", "\x00", "\ud800", "▸", "{x}", "“", "IS NULL", "==", "%"),
]


def outcome(text: str) -> Expr | FilterError:
    """The tree of a text, or the error."""
    try:
        return parse(text)
    except FilterError as error:
        return error


@settings(max_examples=examples(300))
@given(st.lists(st.sampled_from(FRAGMENTS), max_size=14).map("".join) | st.text())
def test_any_text_parses_or_raises_filter_error(text):
    """Any text at all parses, or raises a FilterError inside the text that can be written down in less than 1 kB."""
    result = outcome(text)
    if not isinstance(result, FilterError):
        assert parse(render(result)) == result
        return
    assert 0 <= result.position <= len(text)
    assert result.limit is None
    message, _, caret, hint = str(result).splitlines()
    assert len(str(result).encode()) < 1000
    assert caret.strip() == "^"
    assert message == f"{result.message} (position {result.position}, column {result.position + 1})"
    assert hint == f"hint: {result.hint}"


@given(st.lists(st.sampled_from(FRAGMENTS), max_size=10).map("".join))
def test_outer_blanks_do_not_matter(text):
    """Blanks round a filter change nothing but the positions."""
    plain, padded = outcome(text), outcome(f"\n {text}\t ")
    if isinstance(plain, FilterError) and isinstance(padded, FilterError):
        assert padded.message == plain.message
        assert padded.position in (plain.position + 2, len(f"\n {text}".rstrip(" \t\r\n")))
    else:
        assert plain == padded


@given(st.text(max_size=6) | ODD | st.sampled_from(["AND", "OR", "NOT"]), st.booleans())
@example("-a", True)
@example("a-", True)
@example("a~", True)
def test_rendering_knows_what_needs_quotes(segment, first):
    """What `is_bare` calls a bare segment is one to the parser, and nothing else is."""
    path = (segment,) if first else ("a", segment)
    bare = outcome(".".join(path) + "=1") == Comparison(path, "=", Number("1"))
    assert bare is is_bare(segment, first=first)


@given(st.from_regex(NUMERAL, fullmatch=True) | st.text(st.sampled_from("0123456789.eE+-_x"), min_size=1))
def test_parser_and_evaluator_agree_on_numerals(word):
    """A bare word is a number to the parser exactly where a stored text would be one."""
    is_number = outcome(f"a={word}") == Comparison(("a",), "=", Number(word))
    assert is_number is (NUMERAL.fullmatch(word) is not None)
