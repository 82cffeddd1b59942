"""Translation of records between English and Arabic, with a glossary, checks and a critique loop."""
