"""The judges are sharp: every small change to a right function is judged "not yet".

The changes are made by machine.  One that changes nothing a learner or a broker could see stands in ``SAME``,
with the reason.
"""

import ast
import copy
import re
import warnings
from collections.abc import Iterator
from typing import Any

import pytest

from labkit import Lab
from labkit.exercises import Exercise, Outcome, lessons, progress

EXERCISES = [task for lesson in lessons() for task in lesson.tasks.values() if isinstance(task, Exercise)]
FUNCTIONS = [task for task in EXERCISES if "def " in task.declared.solution]
WORDS = [task for task in EXERCISES if task.name in ("faults", "stops", "schemes")]

#: Each comparison, and what it can be mistaken for.
COMPARISONS: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Lt: (ast.LtE, ast.Gt),
    ast.LtE: (ast.Lt, ast.GtE),
    ast.Gt: (ast.GtE, ast.Lt),
    ast.GtE: (ast.Gt, ast.LtE),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
}
ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Mod: ast.FloorDiv,
}

#: Changes that make no difference, by exercise: what the changed line holds, and why it is as good.
SAME: dict[str, dict[str, str]] = {
    "00.first_message": {r"devices/lamp-7/statex?', '\w*'": "another topic of its own, or another payload"},
    "01.read_claims": {r"'=' \* (4|\(len\(part\) % 4\)|\(-len\(part\) % 8\))": "Python ignores a = too many"},
    "02.login": {r"return \((client_id, password|user_name, token)\)": "the same two values"},
    "02.token_of": {
        r"^for _ in \('.*', '.*', '.*'\):": "the names are for the reader",
        r"size = (at|start)\.from_bytes": "a class method, asked of an instance",
    },
    "03.first_wrong": {
        rf"^if (\w+ is None or )?{re.escape(test)}( or \w+ is None)?:$": "what is missing fails this test"
        for test in (
            "type(exp) not in (int, float) or now >= exp",
            "'https://mqtt.lab' not in (aud if type(aud) is list else [aud])",
            "type(scope) is not str or 'mqtt.connect' not in scope.split(' ')",
        )
    },
    "07.lets_in": {r"return answer\.get\('active'\) is True and status == 200": "the same in another order"},
    "08.login": {r"^authorization = f'BEARER \{token\}'$": "the name of a scheme may be in capitals"},
    "08.context": {r"^pass$": "Python checks host and certificate by itself"},
    "10.find": {
        r"^if since >= 30 and kid not in cache\['keys'\] or since >= 300:$": "the same in another order",
        r"^if since >= 300 or \(kid not in cache\['keys'\] and since >= 30\):$": "the same in another order",
    },
}


def changes(node: ast.AST, names: list[str]) -> Iterator[ast.AST]:
    """What could stand in the place of ``node``; ``names`` are the variables of its function."""
    if isinstance(node, ast.Compare):
        for place, operator in enumerate(node.ops):
            for other in COMPARISONS[type(operator)]:
                changed = copy.deepcopy(node)
                changed.ops[place] = other()
                yield changed
    elif isinstance(node, ast.BoolOp):
        for place in range(len(node.values)):
            rest = [value for n, value in enumerate(node.values) if n != place]
            yield rest[0] if len(rest) == 1 else ast.BoolOp(node.op, rest)
        yield ast.BoolOp(ast.And() if isinstance(node.op, ast.Or) else ast.Or(), node.values)
        yield ast.BoolOp(node.op, node.values[::-1])
    elif isinstance(node, ast.UnaryOp):
        yield node.operand
    elif isinstance(node, ast.BinOp):
        yield ast.BinOp(node.left, ARITHMETIC[type(node.op)](), node.right)
        yield node.left
        yield node.right
    elif isinstance(node, ast.IfExp):
        yield node.body
        yield node.orelse
    elif isinstance(node, ast.Constant):
        if type(node.value) in (int, float):
            yield from (
                ast.Constant(node.value + 1),
                ast.Constant(node.value - 1),
                ast.Constant(node.value * 2),
            )
        elif type(node.value) is str:
            yield from map(ast.Constant, (node.value + "x", "", node.value.upper()))
    elif isinstance(node, ast.Call):
        if not isinstance(node.func, ast.Attribute):
            yield node.func
        elif ast.unparse(node.func.value) != "lab":  # "with lab" would stop it
            yield node.func.value
        yield from node.args
    elif isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Load):
        yield node.value
    elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
        yield from (ast.Name(name, ast.Load()) for name in names if name != node.id)
    elif isinstance(node, ast.Return):
        yield from (ast.Return(ast.Constant(value)) for value in (None, True, False))
    elif isinstance(node, ast.If):
        yield from (ast.If(ast.Constant(value), node.body, node.orelse) for value in (True, False))
    if isinstance(node, (ast.Assign, ast.Expr, ast.For, ast.With, ast.If)):
        yield ast.Pass()


class _Replace(ast.NodeTransformer):
    def __init__(self, place: int, changed: ast.AST) -> None:
        self._place, self._changed, self._seen = place, changed, -1

    def visit(self, node: ast.AST) -> Any:
        self._seen += 1
        return self._changed if self._seen == self._place else super().generic_visit(node)


def places(tree: ast.AST) -> list[ast.AST]:
    """Every node, in the order in which ``_Replace`` meets them."""
    found: list[ast.AST] = []

    class Walk(ast.NodeVisitor):
        def visit(self, node: ast.AST) -> None:
            found.append(node)
            super().generic_visit(node)

    Walk().visit(tree)
    return found


def mutants(task: Exercise) -> Iterator[tuple[str, ast.Module]]:
    """Each change of the solution: the line as it was and is, and the whole cell but its check."""
    *body, _ = ast.parse(task.declared.solution).body
    tree = ast.Module(body, [])
    names = sorted({node.id for node in ast.walk(tree) if isinstance(node, ast.Name)} & variables(tree))
    original = ast.unparse(tree).splitlines()
    seen = set()
    for place, node in enumerate(places(tree)):
        for changed in changes(node, names):
            mutant = _Replace(place, copy.deepcopy(changed)).visit(copy.deepcopy(tree))
            text = ast.unparse(ast.fix_missing_locations(mutant))
            lines = [line for line in text.splitlines() if line not in original]
            if text.splitlines() != original and text not in seen:
                seen.add(text)
                yield " / ".join(line.strip() for line in lines) or "a line less", mutant


def variables(tree: ast.AST) -> set[str]:
    """The names that a function takes or sets."""
    taken = {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}
    return taken | {n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}


@pytest.mark.parametrize("task", FUNCTIONS, ids=lambda task: task.id)
def test_every_change_of_a_right_function_is_seen(task: Exercise, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "path", None)
    monkeypatch.setattr("labkit.exercises.lesson00.greeting.PATIENCE", 0.2)
    known = SAME.get(task.id, {})
    met, count = set(), 0
    with Lab() as lab:
        for line, mutant in mutants(task):
            names: dict[str, Any] = {"lab": lab}
            exec(task.declared.given, names)
            with warnings.catch_warnings(action="ignore", category=SyntaxWarning):  # a literal with `is`
                compiled = compile(mutant, "<mutant>", "exec")
            exec(compiled, names)
            (function,) = (node.name for node in mutant.body if isinstance(node, ast.FunctionDef))
            result = task.check(names[function], lab)
            count += 1
            if result.outcome is Outcome.RIGHT:
                reasons = [pattern for pattern in known if re.search(pattern, line)]
                assert reasons, f"{task.id} takes this for right: {line}"
                met.update(reasons)
            else:
                assert result.outcome is Outcome.NOT_YET, f"{line}: {result}"
    assert count >= 10
    assert met == set(known), "a change that is known to make no difference is not made any more"


@pytest.mark.parametrize("task", WORDS, ids=lambda task: task.id)
def test_every_other_word_is_seen_and_answered_with_something_of_its_own(
    task: Exercise, lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Find the fault: each thing with each of the words that are not its own."""
    monkeypatch.setattr(progress, "path", None)
    (solution,) = (
        ast.literal_eval(node.value)
        for node in ast.walk(ast.parse(task.declared.solution))
        if isinstance(node, ast.Assign)
    )
    said = set()
    for thing, right in solution.items():
        for word in set(solution.values()) - {right}:
            result = task.check(solution | {thing: word}, lab)
            assert result.outcome is Outcome.NOT_YET, (thing, word)
            said.add(result.text)
    assert len(said) >= 2 * len(solution)
