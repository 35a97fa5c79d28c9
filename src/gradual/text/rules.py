"""Special tokens and the named text rules that run before and after the tokenizer.

What the rules do, and their order, is the behaviour of fastai 2.8's text processing (Howard and
Gugger 2020, arXiv 2002.04688): it marks in special tokens what lower case, and later the
vocabulary, would lose. A rule is a function from text to text, and a token rule one from token to
token. Configuration names the built-in ones by their short name (`RULES`, `TOKEN_RULES`) and
anybody else's by dotted path, `package.module:function`.
"""

import html
import importlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

UNK, PAD, BOS, EOS = "xxunk", "xxpad", "xxbos", "xxeos"
FLD, TK_REP, TK_WREP, TK_UP, TK_MAJ = "xxfld", "xxrep", "xxwrep", "xxup", "xxmaj"

#: In id order: a vocabulary gives them the ids 0 to 8.
SPECIAL_TOKENS = (UNK, PAD, BOS, EOS, FLD, TK_REP, TK_WREP, TK_UP, TK_MAJ)


@dataclass(frozen=True)
class Rule:
    """A named change to a text.

    Attributes:
        name: What configuration calls it.
        apply: The function.
        scope: "text" for a rule that may look at the whole text. "chunk" promises that the rule
            changes each chunk (longest run without white space) regardless of the others, leaves
            white space between chunks alone, and turns no chunk into one that is empty or begins
            or ends with white space. The tokenizer runs such a rule once for each distinct chunk.
    """

    name: str
    apply: Callable[[str], str]
    scope: Literal["text", "chunk"] = "text"


_HTML_REMAINS = (
    ("#39;", "'"),
    ("amp;", "&"),
    ("#146;", "'"),
    ("nbsp;", " "),
    ("#36;", "$"),
    ("\\n", "\n"),
    ("quot;", "'"),
    ("<br />", "\n"),
    ('\\"', '"'),
    ("<unk>", UNK),
    (" @.@ ", "."),
    (" @-@ ", "-"),
    ("...", " …"),
)


def fix_html(text: str) -> str:
    """Repair what markup, escaping and WikiText's number splitting left in a text."""
    for remains, meant in _HTML_REMAINS:
        text = text.replace(remains, meant)
    return html.unescape(text)


# Not before a sign that changes the last of them: accents, joiners, skin tones.
_CHANGING = "\u0300-\u036f\u200d\u20e3\ufe0e\ufe0f\U0001f3fb-\U0001f3ff"
_REPEATED_CHARACTER = re.compile(rf"(\S)\1\1+(?![{_CHANGING}])")


def replace_rep(text: str) -> str:
    """Three or more of the same character become `xxrep <how many> <character>`."""
    return _REPEATED_CHARACTER.sub(lambda m: f" {TK_REP} {len(m[0])} {m[1]} ", text)


# The characters around a run belong to the match, so of two runs with one blank between them only
# the first is found: as in the reference.
_REPEATED_WORD = re.compile(r"(?:\s|^)(\w++)((?:\s++\1){2,})(\W|$)")


def replace_wrep(text: str) -> str:
    """The same word three or more times in a row becomes `xxwrep <how many> <word>`."""
    return _REPEATED_WORD.sub(lambda m: f" {TK_WREP} {len(m[2].split()) + 1} {m[1]} {m[3]}", text)


_JOINING_SIGN = re.compile(r"[/#\\]")


def spec_add_spaces(text: str) -> str:
    r"""Blanks around `/`, `#` and `\`, which join words that the vocabulary knows apart."""
    return _JOINING_SIGN.sub(r" \g<0> ", text)


_BLANKS = re.compile(" {2,}")


def rm_useless_spaces(text: str) -> str:
    """Runs of blanks become one blank; other white space stays."""
    return _BLANKS.sub(" ", text)


def _lower_after(mark: str) -> Callable[[re.Match[str]], str]:
    return lambda m: f"{mark} {m[0].lower()}" if len(m[0]) > 1 else m[0].lower()


_ALL_CAPS = re.compile(r"(?<!\S)[A-Z]+[^a-z\s]*(?!\S)")
_CAPITALISED = re.compile(r"(?<!\S)[A-Z][^A-Z\s]*(?!\S)")
_mark_up, _mark_maj = _lower_after(TK_UP), _lower_after(TK_MAJ)


def replace_all_caps(text: str) -> str:
    """A chunk without small letters that begins with a capital: `xxup` and lower case.

    Single letters (I, A) get no mark.
    """
    return _ALL_CAPS.sub(_mark_up, text)


def replace_maj(text: str) -> str:
    """A chunk whose first letter is its only capital: `xxmaj` and lower case."""
    return _CAPITALISED.sub(_mark_maj, text)


def lowercase(text: str) -> str:
    """Lower case."""
    return text.lower()


def replace_space(token: str) -> str:
    """Blanks within a token become `▁`, so that tokens joined with blanks can be split again."""
    return token.replace(" ", "▁")


RULES = {
    rule.name: rule
    for rule in (
        Rule("fix_html", fix_html),
        Rule("replace_rep", replace_rep),
        Rule("replace_wrep", replace_wrep),
        Rule("spec_add_spaces", spec_add_spaces),
        Rule("rm_useless_spaces", rm_useless_spaces),
        Rule("replace_all_caps", replace_all_caps, "chunk"),
        Rule("replace_maj", replace_maj, "chunk"),
        Rule("lowercase", lowercase, "chunk"),
    )
}
TOKEN_RULES = {"replace_space": Rule("replace_space", replace_space, "chunk")}

DEFAULT_RULES = tuple(RULES)
DEFAULT_TOKEN_RULES = tuple(TOKEN_RULES)


def find_rule(name: str, known: dict[str, Rule]) -> Rule:
    """The rule of a short name in `known`, or the function at a dotted path (scope "text").

    Raises:
        ValueError: There is neither; the message lists the known names.
    """
    if name in known:
        return known[name]
    module, colon, function = name.partition(":")
    if not colon:
        raise ValueError(
            f"unknown rule {name!r}: the known ones are {', '.join(known)}; write your own as "
            "package.module:function"
        )
    try:
        apply = getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError, ValueError) as error:
        raise ValueError(
            f"the rule {name!r} cannot be imported ({error}): check the path, which must be "
            "package.module:function with the package on the Python path"
        ) from error
    if not callable(apply):
        raise ValueError(f"the rule {name!r} is a {type(apply).__name__}: it must be a function")
    return Rule(name, apply)
