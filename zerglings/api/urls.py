"""The routes of the API, each with and without its trailing slash."""

from __future__ import annotations

from rest_framework.routers import Route, SimpleRouter

from zerglings.api.viewset import ZerglingViewSet


class ZerglingRouter(SimpleRouter):
    """Routes a POST on one zergling to its ``command``; no URL needs or forbids the final slash."""

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
        self.trailing_slash = "/?"  # the constructor takes only yes or no


router = ZerglingRouter()
router.register("zerglings", ZerglingViewSet, basename="zergling")
