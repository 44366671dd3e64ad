"""AI teachers: models that score answers as people do. What is asked of them, and what their replies amount to."""
