"""Lock files in the middle of a merge: which of their lines lie between conflict marks."""

def _is_mark(line, mark):
    return line.startswith(mark) and (len(line) == 7 or line[7] == " ")

def conflicted_lines(text):
    """The numbers, from 1, of the lines that are conflict marks or between them; empty for a file without a conflict."""
    found = {}
    inside = False
    for number, line in enumerate(text.split("\n"), 1):
        line = line.rstrip("\r")
        if _is_mark(line, "<" * 7):
            inside = True
        if inside:
            found[number] = True
        if _is_mark(line, ">" * 7):
            inside = False
    return found

def first_conflict(text):
    """The line of the first conflict mark; None if there is none."""
    for number in conflicted_lines(text):
        return number
    return None
