"""Prompts and answers as HTML that is safe to show: Markdown, code, formulas, conversations, marks."""
