from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("jobs", "0004_storage")]

    operations = [
        migrations.CreateModel(
            name="Chore",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(max_length=200, unique=True)),
                ("begun_at", models.DateTimeField(null=True)),
            ],
        ),
    ]
