"""Evaluates environment markers, such as `python_version < "3.12" and extra == "fast"` (PEP 508, PEP 751).

https://packaging.python.org/en/latest/specifications/dependency-specifiers/#environment-markers
"""

load(":python_name.bzl", "normalize_name")
load(":python_version.bzl", "python_version")

_WORD = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_."
_OPERATORS = ("===", "~=", "==", "!=", "<=", ">=", "<", ">")

# What old metadata calls some of the variables.
_OLD_NAMES = {
    "os.name": "os_name",
    "platform.machine": "platform_machine",
    "platform.python_implementation": "platform_python_implementation",
    "platform.version": "platform_version",
    "python_implementation": "platform_python_implementation",
    "sys.platform": "sys_platform",
}

_VERSIONS = ("implementation_version", "platform_release", "python_full_version", "python_version")

# Variables that are sets of names: those that are asked for.
_SETS = ("dependency_groups", "extra", "extras")

def _tokens(text):
    """A list of (kind, text) with kinds `string`, `word`, `op`, `(` and `)`; an error as a string."""
    tokens = []
    at = 0
    for _ in range(len(text) + 1):
        if at >= len(text):
            return tokens
        char = text[at]
        if char in " \t\n":
            at += 1
        elif char in "()":
            tokens.append((char, char))
            at += 1
        elif char in "'\"":
            end = text.find(char, at + 1)
            if end < 0:
                return "a quote is not closed"
            tokens.append(("string", text[at + 1:end]))
            at = end + 1
        elif char in _WORD:
            end = at
            for i in range(at, len(text)):
                if text[i] not in _WORD:
                    break
                end = i + 1
            tokens.append(("word", text[at:end]))
            at = end
        else:
            found = [operator for operator in _OPERATORS if text.startswith(operator, at)]
            if not found:
                return "unexpected `%s`" % char
            tokens.append(("op", found[0]))
            at += len(found[0])
    return tokens

def _compare_text(left, operator, right):
    """Both sides as texts, which have no order; None if the operator is for versions only."""
    if operator == "in":
        return left in right
    if operator == "not in":
        return left not in right
    if operator in ("==", "<=", ">="):
        return left == right
    if operator == "!=":
        return left != right
    if operator in ("<", ">"):
        return False
    return None

def _compare_set(names, operator, name):
    """`extra == "x"` or `"x" in extras`: whether `name` is among those that are asked for."""
    found = normalize_name(name) in [normalize_name(one) for one in names]
    if operator in ("==", "in", "<=", ">="):
        return found
    if operator in ("!=", "not in"):
        return not found
    return False if operator in ("<", ">") else None

def _compare(left, operator, right, environment):
    """One comparison; an error as a string."""
    kinds = (left[0], right[0])
    if kinds not in (("word", "string"), ("string", "word")):
        return "expected a comparison of a variable with a text, found `%s %s %s`" % (left[1], operator, right[1])
    name = left[1] if left[0] == "word" else right[1]
    name = _OLD_NAMES.get(name, name)
    if name not in environment:
        return "%s is not a variable of markers" % name
    value = environment[name]
    if name in _SETS:
        text = right[1] if left[0] == "word" else left[1]
        result = _compare_set(value, operator, text)
    else:
        one = value if left[0] == "word" else left[1]
        other = right[1] if left[0] == "word" else value
        result = python_version.matches(one, operator, other) if name in _VERSIONS and "in" not in operator else None
        if result == None:
            result = _compare_text(one, operator, other)
    if result == None:
        return "`%s` cannot compare %s" % (operator, name)
    return result

def _reduce(values, operators):
    """Applies the operator on top of the stack."""
    operator = operators.pop()
    right = values.pop()
    left = values.pop()
    values.append((left and right) if operator == "and" else (left or right))

def _evaluate(marker, environment):
    """Whether a marker holds.

    Args:
      marker: the text after the semicolon of a requirement; "" and None always hold.
      environment: dict from each variable to its value; `extra`, `extras` and `dependency_groups` are lists of names.

    Returns:
      True or False; an error as a string.
    """
    if not marker:
        return True
    tokens = _tokens(marker)
    if type(tokens) == "string":
        return "marker %s: %s" % (marker, tokens)
    values = []
    operators = []
    at = 0
    operand = True
    for _ in range(len(tokens)):
        if at >= len(tokens):
            break
        kind, text = tokens[at]
        if operand:
            if kind == "(":
                operators.append("(")
                at += 1
                continue
            negated = at + 3 < len(tokens) and tokens[at + 1] == ("word", "not") and tokens[at + 2] == ("word", "in")
            last = at + (3 if negated else 2)
            operator = "not in" if negated else tokens[at + 1][1] if at + 1 < len(tokens) else ""
            known = negated or operator == "in" or (at + 1 < len(tokens) and tokens[at + 1][0] == "op")
            if not known or last >= len(tokens):
                return "marker %s: expected a comparison at `%s`" % (marker, text)
            result = _compare(tokens[at], operator, tokens[last], environment)
            if type(result) == "string":
                return "marker %s: %s" % (marker, result)
            values.append(result)
            at = last + 1
            operand = False
        elif kind == ")":
            for _ in range(len(operators)):
                if not operators or operators[-1] == "(":
                    break
                _reduce(values, operators)
            if not operators:
                return "marker %s: a `)` without its `(`" % marker
            operators.pop()
            at += 1
        elif kind == "word" and text in ("and", "or"):
            for _ in range(len(operators)):
                if operators and (operators[-1] == "and" or (operators[-1] == "or" and text == "or")):
                    _reduce(values, operators)
            operators.append(text)
            at += 1
            operand = True
        else:
            return "marker %s: expected `and` or `or` at `%s`" % (marker, text)
    if operand:
        return "marker %s: it ends too early" % marker
    for _ in range(len(operators)):
        if operators[-1] == "(":
            return "marker %s: a `(` without its `)`" % marker
        _reduce(values, operators)
    return values[0]

python_markers = struct(evaluate = _evaluate)
