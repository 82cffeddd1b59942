"""Parts of a dress rehearsal: toy data, the shrunken recipe, what is examined, what is reported."""
