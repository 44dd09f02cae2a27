"""Takes an expression apart, as far as our own are written: the sides of its set operators and comparisons, and
the selectors in them. An alarm that is silent proves nothing; that each part of it has data does."""

import re

SET_OPERATOR = re.compile(r"(?:or|and|unless)\b")
COMPARISON = re.compile(r"(==|!=|>=|<=|>|<)(\s*bool\b)?")
MATCHING = re.compile(r"\s*(?:on|ignoring)\s*\([^)]*\)(?:\s*group_(?:left|right)\s*(?:\([^)]*\))?)?")
SELECTOR = re.compile(r"(?<![\w:])(up(?=\{)|onsale_[a-z0-9_]+|process_[a-z0-9_]+|onsale:[a-z0-9_:]+)(\{[^}]*\})?")
# A matcher that lists the values it means.
LISTED = re.compile(r'(\w+)=~"(\w+(?:\|\w+)+)"')


def split(text, at):
    """The parts of a text between what `at` matches outside all brackets and strings."""
    parts, depth, begins, here = [], 0, 0, 0
    quoted = False
    while here < len(text):
        sign = text[here]
        if sign == '"':
            quoted = not quoted
        elif not quoted and sign in "([{":
            depth += 1
        elif not quoted and sign in ")]}":
            depth -= 1
        elif not quoted and depth == 0 and (here == 0 or not (text[here - 1].isalnum() or text[here - 1] in "_:")):
            found = at.match(text, here)
            if found:
                parts.append(text[begins:here])
                modifier = MATCHING.match(text, found.end())
                begins = here = modifier.end() if modifier else found.end()
                continue
        here += 1
    return [part.strip() for part in parts + [text[begins:]]]


def bare(text):
    """Without brackets round all of it."""
    while text.startswith("(") and text.endswith(")"):
        depth = 0
        for here, sign in enumerate(text):
            depth += {"(": 1, ")": -1}.get(sign, 0)
            if depth == 0 and here < len(text) - 1:
                return text
        text = text[1:-1].strip()
    return text


def sides(text):
    """What is to have data for the expression to be able to tell anything."""
    operands = split(bare(text), SET_OPERATOR)
    if len(operands) > 1:
        return [side for operand in operands for side in sides(operand)]
    compared = split(operands[0], COMPARISON)
    if len(compared) > 1:
        return [side for part in compared for side in sides(part)]
    # What is absent has no data, and should not.
    return [compared[0]] if SELECTOR.search(compared[0]) and not compared[0].startswith("absent(") else []


def selectors(text):
    """Each selector by itself; one that lists values, for each of them."""
    found = set()
    for name, labels in SELECTOR.findall(text):
        pending = [name + labels]
        while pending:
            selector = pending.pop()
            listed = LISTED.search(selector)
            if listed is None:
                found.add(selector)
                continue
            label, values = listed.groups()
            pending += [selector[:listed.start()] + f'{label}="{value}"' + selector[listed.end():]
                        for value in values.split("|")]
    return sorted(found)
