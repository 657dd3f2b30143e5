"""The API's routes; the trailing slash is optional."""

from __future__ import annotations

from rest_framework.routers import Route, SimpleRouter

from zerglings.api.viewset import ZerglingViewSet


class ZerglingRouter(SimpleRouter):
    """A router with an optional trailing slash, and with ``command`` as POST on one zergling."""

    routes = [  # noqa: RUF012 - the router's own declaration is not a ClassVar
        Route(
            url="^{prefix}{trailing_slash}$",
            mapping={"get": "list", "post": "create"},
            name="{basename}-list",
            detail=False,
            initkwargs={"name": "Zerglings"},
        ),
        Route(
            url="^{prefix}/{lookup}{trailing_slash}$",
            mapping={"get": "retrieve", "post": "command", "delete": "destroy"},
            name="{basename}-detail",
            detail=True,
            initkwargs={"name": "Zergling"},
        ),
        Route(
            url="^{prefix}/{lookup}/history{trailing_slash}$",
            mapping={"get": "history"},
            name="{basename}-history",
            detail=True,
            initkwargs={"name": "History"},
        ),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.trailing_slash = "/?"  # the constructor accepts only a boolean


router = ZerglingRouter()
router.register("zerglings", ZerglingViewSet, basename="zergling")
