"""Found automatically."""

from __future__ import annotations

from typing import Any, ClassVar

from django import forms
from django.core.exceptions import ValidationError

from container_manager.definitions import InputFile, JobDefinition, OutputFile

PLANTED = "planted-secret-9f2c71"
"""What the tests set ACME_TOKEN to, and look for everywhere."""
SCRIPT = r"""
video=$1 height=$2 clip=$3
echo "::progress 40 Resizing"
test -s "$CM_SECRETS_DIR/API_TOKEN" || exit 9
echo "token $(cat "$CM_SECRETS_DIR/API_TOKEN")"
case $MODE in
    no-output) exit 0 ;;
    no-json) echo "{not json" > "$CM_OUTPUT_DIR/result.json" ;;
    long-json) head -c 70000 /dev/zero | tr '\0' '1' > "$CM_OUTPUT_DIR/result.json" ;;
    link) ln -s /etc/passwd "$clip"; exit 0 ;;
    fail) echo partial > "$clip"; exit 3 ;;
    *) printf '{"seconds": 1.5, "height": %s, "token": "%s"}' \
           "$height" "$(cat "$CM_SECRETS_DIR/API_TOKEN")" > "$CM_OUTPUT_DIR/result.json" ;;
esac
tr a-z A-Z < "$video" > "$clip"
printf '::progress 100 Done'
"""


class MakeThumbnail(JobDefinition):
    """Stands for a tool that draws a picture: it prints its arguments, one a line."""

    image = "busybox:local"
    command = ["printf", "%s\\n", "{width}x{height}", "--title={title}", "{{height}}"]
    environment = {"TITLE": "<{title}>", "MODE": "fast"}
    queue: ClassVar[Any] = "media"
    memory_limit, timeout_seconds, network = 64, 600, "none"
    labels = {"team": "video"}

    width = forms.IntegerField(min_value=16, max_value=4096)
    height = forms.IntegerField(min_value=16, max_value=2160, initial=720)
    title = forms.CharField(required=False, max_length=50)

    @classmethod
    def clean(cls, parameters: dict[str, Any]) -> dict[str, Any]:
        if parameters["width"] < parameters["height"] // 10:
            raise ValidationError({"width": "That is too narrow for its height."})
        return parameters


class Transcode(JobDefinition):
    """Stands for a video tool: the clip is the video in upper case, and the result says how it went."""

    image = "busybox:local"
    command = ["sh", "-c", SCRIPT, "transcode", "{video}", "{height}", "{clip}"]
    memory_limit, timeout_seconds, network = 64, 600, "none"
    secrets = {"API_TOKEN": "env:ACME_TOKEN"}

    video = InputFile()
    height = forms.IntegerField(min_value=144, max_value=2160, initial=720)
    mode = forms.CharField(initial="good")
    clip = OutputFile("clip.mp4", required=True)
    preview = OutputFile("small/preview.txt", required=False)
    environment = {"MODE": "{mode}"}


class CopyThrough(JobDefinition):
    """Everything that goes in comes out."""

    image = "busybox:local"
    command = ["cp", "{data}", "{copy}"]
    network = "none"

    data = InputFile()
    copy = OutputFile("copy.bin")
