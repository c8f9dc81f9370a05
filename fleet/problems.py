"""Sign-in problems: why a request was refused, in words that help; the same problem again is counted, not repeated."""

from django.db import connection, models

from fleet import clock, live

# A stranger can make up any number of phone numbers: only the newest problems are kept.
KEEP = 1000


class Cause(models.TextChoices):
    UNKNOWN_NUMBER = "unknown_number"
    WRONG_PASSWORD = "wrong_password"
    OTHER_URL = "other_url"  # the password is right, the server URL typed into the phone is another one
    MALFORMED = "malformed"


class SignInProblem(models.Model):
    """A reason why requests naming this phone number were refused."""

    phone_number = models.CharField(max_length=64, blank=True)
    cause = models.CharField(max_length=16, choices=Cause)
    detail = models.CharField(max_length=255, blank=True)  # never a password
    address = models.CharField(max_length=64, blank=True)  # where the last one came from
    count = models.IntegerField(default=1)
    first_at = models.DateTimeField(default=clock.now)
    at = models.DateTimeField(default=clock.now)  # the last one

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["phone_number", "cause", "detail"], name="one_row_per_problem"),
        ]
        indexes = [models.Index(fields=["-at"], name="problem_at")]


def record(problems):
    """Note refused requests: ``problems`` are unsaved SignInProblems, repeats of one are folded."""
    folded = {}
    for problem in problems:
        problem.phone_number, problem.detail = problem.phone_number[:64], problem.detail[:255]
        key = (problem.phone_number, problem.cause, problem.detail)
        if key in folded:
            folded[key].count += 1
            folded[key].at, folded[key].address = problem.at, problem.address
        else:
            folded[key] = problem
    rows = [folded[key] for key in sorted(folded)]
    if not rows:
        return
    places = ", ".join(["(%s, %s, %s, %s, %s, %s, %s)"] * len(rows))
    adapt = connection.ops.adapt_datetimefield_value
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO fleet_signinproblem (phone_number, cause, detail, address, count, first_at, at) "
            f"VALUES {places} ON CONFLICT (phone_number, cause, detail) DO UPDATE SET "
            "count = fleet_signinproblem.count + excluded.count, at = excluded.at, address = excluded.address "
            "RETURNING id",
            [
                value
                for row in rows
                for value in (
                    row.phone_number,
                    row.cause,
                    row.detail,
                    row.address,
                    row.count,
                    adapt(row.first_at),
                    adapt(row.at),
                )
            ],  # fmt: skip
        )
        ids = [pk for (pk,) in cursor.fetchall()]
    oldest_kept = SignInProblem.objects.order_by("-at").values_list("at", flat=True)[KEEP : KEEP + 1].first()
    if oldest_kept:
        SignInProblem.objects.filter(at__lte=oldest_kept).delete()
    live.announce("problem", ids)
