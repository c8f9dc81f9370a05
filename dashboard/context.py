"""What every page shows."""


def shell(request):
    return {}
