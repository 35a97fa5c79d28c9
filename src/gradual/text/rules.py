"""Special tokens and the named text rules that run before and after the tokenizer."""

UNK, PAD, BOS, EOS = "xxunk", "xxpad", "xxbos", "xxeos"
FLD, TK_REP, TK_WREP, TK_UP, TK_MAJ = "xxfld", "xxrep", "xxwrep", "xxup", "xxmaj"

#: In id order: a vocabulary gives them the ids 0 to 8.
SPECIAL_TOKENS = (UNK, PAD, BOS, EOS, FLD, TK_REP, TK_WREP, TK_UP, TK_MAJ)
