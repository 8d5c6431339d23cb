"""Reads TOML as lock files are written in it (https://toml.io/en/v1.0.0).

Tables, arrays of tables, inline tables, arrays, all strings, integers and booleans are read as TOML says. Floats, dates and
times are given as the text that the file has: no lock needs their value.
"""

_BARE = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-"
_PUNCTUATION = "[]{}=,."
_ESCAPES = {'"': '"', "\\": "\\", "b": "\010", "e": "\033", "f": "\014", "n": "\n", "r": "\r", "t": "\t"}
_HEX = "0123456789abcdefABCDEF"

# Each table of an array of tables has its line here, counted from 1. No key of a file can be the same: it is not text.
TOML_LINE = 0

def _code_point(digits):
    """The character of a hexadecimal code point, through JSON, which is what Starlark can decode."""
    value = int(digits, 16)
    if value < 0x10000:
        return json.decode('"\\u%s"' % ("000" + "%x" % value)[-4:])
    value -= 0x10000
    high, low = "%x" % (0xD800 + value // 0x400), "%x" % (0xDC00 + value % 0x400)
    return json.decode('"\\u%s\\u%s"' % (high, low))

def _unescape(text):
    """The text of a basic string without its quotes; None if an escape is wrong."""
    if "\\" not in text:
        return text
    parts = text.split("\\")
    out = parts[0]
    skip = False
    for part in parts[1:]:
        if skip:
            out += part
            skip = False
        elif part == "":
            out += "\\"
            skip = True
        elif part[0] in _ESCAPES:
            out += _ESCAPES[part[0]] + part[1:]
        elif part[0] in "uU" or part[0] == "x":
            length = {"U": 8, "u": 4, "x": 2}[part[0]]
            digits = part[1:1 + length]
            if len(digits) != length or digits.strip(_HEX) or int(digits, 16) > 0x10FFFF:
                return None
            out += _code_point(digits) + part[1 + length:]
        elif part[0] in " \t\n":
            # A backslash at the end of a line joins it with the next text.
            if "\n" not in part[:len(part) - len(part.lstrip())]:
                return None
            out += part.lstrip()
        else:
            return None
    return out

def _closing(line, quote, start):
    """Where `quote` is for the first time without a backslash that belongs to it; -1 if nowhere."""
    at = start
    for _ in range(len(line) + 1):
        end = line.find(quote, at)
        if end < 0 or quote[0] == "'":
            return end
        before = line[start:end]
        if (len(before) - len(before.rstrip("\\"))) % 2 == 0:
            return end
        at = end + 1
    return -1

def _tokens(text):
    """A list of (kind, value, line); an error as a string.

    Kinds are the punctuation, `newline`, `bare` and `string`.
    """
    tokens = []
    many = None
    for number, line in enumerate(text.replace("\r\n", "\n").split("\n"), 1):
        at = 0
        if many != None:
            quote, opened, collected = many
            end = _closing(line, quote, 0)
            if end < 0:
                collected.append(line)
                continue

            # Up to two more quotes belong to the text.
            for _ in range(2):
                if line.startswith(quote, end + 1):
                    end += 1
            collected.append(line[:end])
            value = "\n".join(collected)
            value = _unescape(value) if quote[0] == '"' else value
            if value == None:
                return "line %d: a wrong escape" % opened
            tokens.append(("string", value, opened))
            at = end + 3
            many = None
        for _ in range(len(line) + 1):
            if at >= len(line):
                break
            char = line[at]
            if char in " \t":
                at += 1
            elif char == "#":
                break
            elif char in _PUNCTUATION:
                tokens.append((char, char, number))
                at += 1
            elif line.startswith('"""', at) or line.startswith("'''", at):
                quote = char * 3
                end = _closing(line, quote, at + 3)
                if end < 0:
                    first = line[at + 3:]
                    many = (quote, number, [first] if first else [])
                    break
                for _ in range(2):
                    if line.startswith(quote, end + 1):
                        end += 1
                value = line[at + 3:end]
                value = _unescape(value) if char == '"' else value
                if value == None:
                    return "line %d: a wrong escape" % number
                tokens.append(("string", value, number))
                at = end + 3
            elif char in "\"'":
                end = _closing(line, char, at + 1)
                value = None if end < 0 else line[at + 1:end]
                value = _unescape(value) if value != None and char == '"' else value
                if value == None:
                    return "line %d: a string that is not closed, or a wrong escape" % number
                tokens.append(("string", value, number))
                at = end + 1
            else:
                end = at
                for i in range(at, len(line)):
                    if line[i] in " \t,]}=#[{\"'":
                        break
                    end = i + 1
                tokens.append(("bare", line[at:end], number))
                at = end
        if many == None:
            tokens.append(("newline", "", number))
    if many != None:
        return "line %d: a string that is not closed" % many[1]
    return tokens

def _key(tokens, start):
    """A dotted key: (its parts, position after it); None as parts if there is none."""
    parts = []
    at = start
    for _ in range(len(tokens)):
        kind, value, _ = tokens[at]
        if kind == "string":
            parts.append(value)
        elif kind == "bare":
            # The dots of a bare key are read with it.
            found = value.strip(".").split(".") if value.strip(".") else []
            if not found or [part for part in found if not part or part.strip(_BARE)]:
                return None, at
            parts += found
            if value.endswith("."):
                at += 1
                continue
        else:
            return None, at
        at += 1
        if tokens[at][0] == ".":
            at += 1
        elif not (tokens[at][0] == "bare" and tokens[at][1].startswith(".")):
            return parts, at
    return None, at

def _scalar(text):
    """A bare value; None if it is not one."""
    if text == "true":
        return True
    if text == "false":
        return False
    number = text.removeprefix("+").removeprefix("-")
    plain = number.replace("_", "")
    if plain and not plain.strip("0123456789"):
        return int(text.replace("_", "").removeprefix("+"))
    for prefix, base in (("0x", 16), ("0o", 8), ("0b", 2)):
        if number.startswith(prefix):
            digits = plain[2:]
            allowed = "0123456789abcdefABCDEF" if base == 16 else "01234567"[:base]
            return int(digits, base) if digits and not digits.strip(allowed) else None
    if text and (text[0] in "0123456789+-" or text in ("inf", "nan")) and not text.strip("0123456789+-_.:eETZtzinfa"):
        return text
    return None

def _descend(table, parts, line):
    """The table at `parts` below `table`, made if it is missing; an error as a string."""
    for part in parts:
        below = table.setdefault(part, {})
        if type(below) == "list":
            below = below[-1] if below else None
        if type(below) != "dict":
            return "line %d: %s is not a table" % (line, part)
        table = below
    return table

def _store(table, parts, value, line):
    """Puts a value at a dotted key; an error as a string, or None."""
    place = _descend(table, parts[:-1], line)
    if type(place) == "string":
        return place
    if parts[-1] in place:
        return "line %d: %s is given twice" % (line, ".".join(parts))
    place[parts[-1]] = value
    return None

def _skip_newlines(tokens, start):
    for at in range(start, len(tokens)):
        if tokens[at][0] != "newline":
            return at
    return len(tokens) - 1

def _value(tokens, start):
    """The value at a position: (value, position after it); (None, error) if there is none.

    Containers that are open are on a stack: (container, key of the value that it waits for).
    """
    stack = []
    at = start
    for _ in range(2 * len(tokens)):
        kind, text, line = tokens[at]
        if stack and type(stack[-1][0]) == "list":
            at = _skip_newlines(tokens, at)
            kind, text, line = tokens[at]
        done = None
        if stack and kind == ("]" if type(stack[-1][0]) == "list" else "}"):
            done = stack.pop()[0]
            at += 1
        elif stack and type(stack[-1][0]) == "dict" and stack[-1][1] == None:
            at = _skip_newlines(tokens, at)
            if tokens[at][0] == "}":
                continue
            parts, at = _key(tokens, at)
            if not parts or tokens[at][0] != "=":
                return None, "line %d: expected `key = value`" % line
            at += 1
            stack[-1] = (stack[-1][0], parts)
            continue
        elif kind == "[":
            stack.append(([], None))
            at += 1
            continue
        elif kind == "{":
            stack.append(({}, None))
            at += 1
            continue
        elif kind == "string":
            done = text
            at += 1
        elif kind == "bare":
            joined = text

            # A date and its time may have a space between them.
            following = tokens[at + 1]
            if len(text) == 10 and text[4] == "-" and following[0] == "bare" and ":" in following[1]:
                joined += " " + following[1]
                at += 1
            done = _scalar(joined)
            if done == None and joined.strip("0123456789+-_.:eETZtzinfa "):
                return None, "line %d: %s is not a value" % (line, joined)
            done = joined if done == None else done
            at += 1
        else:
            return None, "line %d: expected a value, found %s" % (line, "the end of the line" if kind == "newline" else text)
        if not stack:
            return done, at
        container, parts = stack[-1]
        if type(container) == "list":
            container.append(done)
            at = _skip_newlines(tokens, at)
            closing = "]"
        else:
            problem = _store(container, parts, done, line)
            if problem:
                return None, problem
            stack[-1] = (container, None)
            at = _skip_newlines(tokens, at)
            closing = "}"
        if tokens[at][0] == ",":
            at += 1
        elif tokens[at][0] != closing:
            return None, "line %d: expected `,` or `%s`" % (tokens[at][2], closing)
    return None, "line %d: a value that does not end" % tokens[start][2]

def _header(tokens, start, root):
    """A line `[table]` or `[[array]]`: (the table, position after it); (None, error)."""
    line = tokens[start][2]
    is_array = tokens[start + 1][0] == "["
    parts, at = _key(tokens, start + (2 if is_array else 1))
    closing = 2 if is_array else 1
    if not parts or [token for token in tokens[at:at + closing] if token[0] != "]"]:
        return None, "line %d: a table's name in brackets is expected" % line
    at += closing
    above = _descend(root, parts[:-1], line)
    if type(above) == "string":
        return None, above
    if is_array:
        array = above.setdefault(parts[-1], [])
        if type(array) != "list":
            return None, "line %d: %s is not an array of tables" % (line, parts[-1])
        table = {TOML_LINE: line}
        array.append(table)
        return table, at
    table = above.setdefault(parts[-1], {})
    if type(table) != "dict":
        return None, "line %d: %s is not a table" % (line, parts[-1])
    return table, at

def _parse(text):
    """Reads a file.

    Args:
      text: the file's.

    Returns:
      A dict; an error, with its line, as a string.
    """
    tokens = _tokens(text.removeprefix("\357\273\277"))
    if type(tokens) == "string":
        return tokens
    root = {}
    table = root
    at = 0
    for _ in range(len(tokens)):
        at = _skip_newlines(tokens, at)
        if tokens[at][0] == "newline":
            return root
        line = tokens[at][2]
        if tokens[at][0] == "[":
            table, at = _header(tokens, at, root)
            if table == None:
                return at
        else:
            parts, at = _key(tokens, at)
            if not parts or tokens[at][0] != "=":
                return "line %d: expected `key = value` or a table" % line
            value, after = _value(tokens, at + 1)
            if value == None:
                return after
            problem = _store(table, parts, value, line)
            if problem:
                return problem
            at = after
        if tokens[at][0] != "newline":
            return "line %d: unexpected `%s` at the end of the line" % (line, tokens[at][1])
    return root

toml = struct(parse = _parse)
