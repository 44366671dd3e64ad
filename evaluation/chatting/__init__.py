"""Chat with models of this site and with endpoints: what is said, by whom it is answered, and what becomes of a reply."""
