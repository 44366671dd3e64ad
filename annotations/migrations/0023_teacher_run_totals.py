"""What a teacher's calls took stands added up on their run: pages and budgets read no call."""

from django.db import migrations, models

COUNTS = ("questions", "fallbacks", "by_search", "by_cache", "by_model", "by_rules")
TAKEN = """
UPDATE annotations_teacherrun AS run
   SET questions = told.questions, tokens_in = told.tokens_in, tokens_out = told.tokens_out, cost = told.cost,
       fallbacks = told.fallbacks, by_search = told.by_search, by_cache = told.by_cache, by_model = told.by_model,
       by_rules = told.by_rules
  FROM (SELECT run_id, sum(questions) AS questions, sum(tokens_in) AS tokens_in, sum(tokens_out) AS tokens_out,
               sum(cost) AS cost, count(*) FILTER (WHERE source <> 'live') AS fallbacks,
               count(*) FILTER (WHERE evidence_source = 'search') AS by_search,
               count(*) FILTER (WHERE evidence_source = 'cache') AS by_cache,
               count(*) FILTER (WHERE evidence_source = 'model') AS by_model,
               count(*) FILTER (WHERE evidence_source = 'rules') AS by_rules
          FROM annotations_teachercall GROUP BY run_id) AS told
 WHERE told.run_id = run.id
"""


def _count(name: str) -> migrations.AddField:
    return migrations.AddField("teacherrun", name, models.PositiveIntegerField(default=0))


class Migration(migrations.Migration):
    dependencies = [
        ("annotations", "0022_chains"),
    ]

    operations = [
        *[_count(name) for name in COUNTS],
        migrations.AddField("teacherrun", "tokens_in", models.PositiveBigIntegerField(default=0)),
        migrations.AddField("teacherrun", "tokens_out", models.PositiveBigIntegerField(default=0)),
        migrations.AddField("teacherrun", "cost", models.DecimalField(blank=True, decimal_places=8, max_digits=16, null=True)),
        migrations.RunSQL(TAKEN, migrations.RunSQL.noop),
    ]
