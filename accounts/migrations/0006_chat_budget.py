from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0005_endpoints"),
    ]

    operations = [
        migrations.AddField(
            model_name="endpoint",
            name="chat_budget",
            field=models.DecimalField(blank=True, decimal_places=4, max_digits=12, null=True),
        ),
    ]
