"""Mutants of a module: its source with one decision made otherwise.

Changed are comparisons, connectives, arithmetic, numbers and truth values, min and max, conditions, what a function
returns, the effects of a statement, and the members of tables at the top of a module (networks, ports, reasons), which
the usual tools leave alone. Left as they are: docstrings, annotations, decorators, assertions, patterns, and the words
of messages, which tables of tests quote where they matter.
"""

from __future__ import annotations

import ast
import copy
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

COMPARED = {
    ast.Lt: (ast.LtE, ast.GtE), ast.LtE: (ast.Lt, ast.Gt), ast.Gt: (ast.GtE, ast.LtE), ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,), ast.NotEq: (ast.Eq,), ast.Is: (ast.IsNot,), ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,), ast.NotIn: (ast.In,),
}  # fmt: skip
COMPUTED = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult, ast.Mod: ast.Mult,
    ast.Pow: ast.Mult, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd, ast.BitXor: ast.BitAnd, ast.RShift: ast.LShift,
    ast.LShift: ast.RShift,
}  # fmt: skip
SWAPPED = {"min": "max", "max": "min", "any": "all", "all": "any"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """One change: where it stands, what it makes of what, and the whole module with it."""

    name: str
    line: int
    tree: ast.Module


def mutants(source: str) -> Iterator[Mutant]:
    """Yield every mutant of *source*; a name says the function and the change, so it outlives other edits."""
    tree = ast.parse(source)
    seen: Counter[str] = Counter()
    for place, (where, node) in enumerate(_decisions(tree, "module")):
        for change in _changes(node, is_table=where == "module"):
            before, after = _shown(node), _shown(change)
            name = f"{where}: {before} → {after}"
            seen[name] += 1
            if seen[name] > 1:
                name += f" #{seen[name]}"
            yield Mutant(name=name, line=getattr(node, "lineno", 0), tree=_with(tree, place, change))


def _with(tree: ast.Module, place: int, change: ast.AST) -> ast.Module:
    made = copy.deepcopy(tree)
    _, target = list(_decisions(made, "module"))[place]
    for parent in ast.walk(made):
        for field, value in ast.iter_fields(parent):
            if value is target:
                setattr(parent, field, change)
            elif isinstance(value, list):
                value[:] = [change if part is target else part for part in value]
    return ast.fix_missing_locations(made)


def _decisions(node: ast.AST, where: str) -> Iterator[tuple[str, ast.AST]]:
    """Every node that may be changed, with the function or class that it stands in, always in the same order."""
    for field, value in ast.iter_fields(node):
        if field in ("annotation", "returns", "decorator_list", "type_comment"):
            continue
        for part in value if isinstance(value, list) else [value]:
            if not isinstance(part, ast.AST) or _is_left_alone(part):
                continue
            inside = where
            if isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                inside = part.name if where == "module" else f"{where}.{part.name}"
            yield inside, part
            yield from _decisions(part, inside)


def _is_left_alone(node: ast.AST) -> bool:
    if isinstance(node, ast.Assert | ast.Import | ast.ImportFrom | ast.JoinedStr):
        return True
    if isinstance(node, ast.Call) and ast.unparse(node.func) in ("re.compile", "TypeAlias", "NewType"):
        return True
    if isinstance(node, ast.AnnAssign) and ast.unparse(node.annotation) == "TypeAlias":
        return True
    return isinstance(node, ast.Expr) and (
        isinstance(node.value, ast.Constant) or ast.unparse(node.value).startswith("assert_never")
    )


def _changes(node: ast.AST, *, is_table: bool) -> Iterator[ast.AST]:
    if isinstance(node, ast.Compare):
        yield from _compared(node)
    elif isinstance(node, ast.BoolOp):
        other = ast.Or() if isinstance(node.op, ast.And) else ast.And()
        yield ast.BoolOp(op=other, values=node.values)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        yield node.operand
    elif isinstance(node, ast.BinOp) and type(node.op) in COMPUTED:
        yield ast.BinOp(left=node.left, op=COMPUTED[type(node.op)](), right=node.right)
    elif isinstance(node, ast.Constant):
        yield from _constants(node, is_table=is_table)
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in SWAPPED:
        yield ast.Call(func=ast.Name(id=SWAPPED[node.func.id], ctx=ast.Load()), args=node.args, keywords=node.keywords)
    elif isinstance(node, ast.If | ast.IfExp | ast.While) and not isinstance(node.test, ast.Compare | ast.BoolOp):
        yield _negated(node)
    elif isinstance(node, ast.Return) and node.value is not None and not isinstance(node.value, ast.Constant):
        yield ast.Return(value=ast.Constant(value=None))
    elif isinstance(node, ast.stmt):
        yield from _silenced(node)
    elif is_table and isinstance(node, ast.Set | ast.Tuple | ast.Dict):
        yield from _shortened(node)


def _compared(node: ast.Compare) -> Iterator[ast.Compare]:
    for place, op in enumerate(node.ops):
        for other in COMPARED[type(op)]:
            ops = [*node.ops[:place], other(), *node.ops[place + 1 :]]
            yield ast.Compare(left=node.left, ops=ops, comparators=node.comparators)


def _constants(node: ast.Constant, *, is_table: bool) -> Iterator[ast.AST]:
    value = node.value
    if isinstance(value, bool):
        yield ast.Constant(value=not value)
    elif isinstance(value, int | float):
        yield ast.Constant(value=value + 1)
    elif is_table and isinstance(value, str) and " " in value.strip() and "/" in value:
        words = value.split()
        for place in range(len(words)):
            yield ast.Constant(value=" " + " ".join(words[:place] + words[place + 1 :]))
    elif is_table and isinstance(value, str) and " " not in value:
        yield ast.Constant(value=value[::-1] if value[::-1] != value else value + "~")


def _negated(node: ast.If | ast.IfExp | ast.While) -> ast.AST:
    made = copy.deepcopy(node)
    made.test = ast.UnaryOp(op=ast.Not(), operand=made.test)
    return made


def _silenced(node: ast.stmt) -> Iterator[ast.stmt]:
    is_effect = isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)
    is_write = isinstance(node, ast.Assign | ast.AugAssign | ast.Delete | ast.Continue | ast.Break)
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AugAssign) else []
    is_local = any(isinstance(target, ast.Name) for target in targets) and isinstance(node, ast.Assign)
    if is_effect or (is_write and not is_local):
        yield ast.Pass()


def _shortened(node: ast.Set | ast.Tuple | ast.Dict) -> Iterator[ast.AST]:
    for place in range(len(node.keys if isinstance(node, ast.Dict) else node.elts)):
        if isinstance(node, ast.Dict):
            yield ast.Dict(keys=_but(node.keys, place), values=_but(node.values, place))
        elif len(node.elts) > 1 and not isinstance(getattr(node, "ctx", None), ast.Store):
            yield (
                ast.Set(elts=_but(node.elts, place))
                if isinstance(node, ast.Set)
                else ast.Tuple(elts=_but(node.elts, place), ctx=ast.Load())
            )


def _but(parts: list, place: int) -> list:
    return parts[:place] + parts[place + 1 :]


def _shown(node: ast.AST) -> str:
    text = " ".join(ast.unparse(ast.fix_missing_locations(copy.deepcopy(node))).split())
    return text if len(text) <= 90 else f"{text[:60]} … {text[-26:]}"
