"""Numbers as in English: the same figure stands in charts, tables and files, and a page is no place to wonder which it is."""

DECIMAL_SEPARATOR = "."
THOUSAND_SEPARATOR = ","
