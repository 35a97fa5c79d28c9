"""fastai's side of the comparison, for its own virtual environment. Prints one JSON line.

theirs.py TEXTS.json --workers 2 [--save-tokens TOKENS.json]
"""

import argparse
import json
import time
from pathlib import Path

import fastai
import pandas as pd
import spacy
from fastai.text.core import WordTokenizer, tokenize_df
from fastai.text.data import Numericalize, make_vocab


def main() -> None:
    """Do what `Tokenizer.from_df` and `Numericalize` do when a `DataLoaders` is set up."""
    parser = argparse.ArgumentParser()
    parser.add_argument("texts", type=Path)
    parser.add_argument("--workers", type=int, required=True)
    parser.add_argument("--save-tokens", type=Path)
    options = parser.parse_args()
    frame = pd.DataFrame({"text": json.loads(options.texts.read_text())})

    start = time.perf_counter()
    tokenized, counter = tokenize_df(frame, "text", n_workers=options.workers, tok=WordTokenizer())
    middle = time.perf_counter()
    numericalize = Numericalize(make_vocab(counter))
    ids = [numericalize(tokens) for tokens in tokenized["text"]]
    done = time.perf_counter()

    if options.save_tokens:
        options.save_tokens.write_text(json.dumps([list(tokens) for tokens in tokenized["text"]]))
    figures = {
        "fastai": fastai.__version__,
        "spacy": spacy.__version__,
        "documents": len(frame),
        "tokens": sum(map(len, ids)),
        "seconds_tokenize": middle - start,
        "seconds_numericalize": done - middle,
        "seconds": done - start,
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
