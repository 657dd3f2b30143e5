"""``GET /regions``: the name of this region, and how far it is behind the others."""

from __future__ import annotations

from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from zerglings.api.renderers import Json
from zerglings.regions.monitor import configured_monitor
from zerglings.storage.regions.lag import Lag


class Regions(APIView):
    """The name of this region, and for each other one the seconds by which it is behind."""

    def get(self, request: Request) -> Response:
        """Show the regions.

        The others are null while they are unknown. One is missing until something of it arrives.
        """
        monitor = configured_monitor()
        if monitor is None:
            return Response({"region": None, "others": []})
        lags = monitor.lags()
        others = None if lags is None else [_other(*each) for each in lags.items()]
        return Response({"region": monitor.region, "others": others})


def _other(name: str, lag: Lag) -> Json:
    seconds = {"zerglings": round(lag.zerglings, 1), "history": round(lag.history, 1)}
    return {"region": name, "secondsBehind": seconds}
