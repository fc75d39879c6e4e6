"""Encoding with OpenVINO, whose products are faster than torch's on most CPUs."""

import threading
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from imbpipe.encoders.compute import Precision
from imbpipe.encoders.cores import usable_cores
from imbpipe.encoders.encoder import Lane
from imbpipe.errors import UsageError
from imbpipe.types import Features

if TYPE_CHECKING:
    import torch

HINTS = {"float32": "f32", "bfloat16": "bf16"}


class OpenVinoBackend:
    """Runs a frozen torch network, (b, 3, h, w) float32 to (b, d), on one core a call.

    It is converted at the first call. scale: what turns the pixels that are handed over into the network's.
    """

    def __init__(
        self,
        network: "torch.nn.Module",
        scale: "Callable[[torch.Tensor], torch.Tensor]",
        precision: Precision,
    ) -> None:
        self._network, self._scale, self._precision = network, scale, precision
        self._converting = threading.Lock()
        self._compiled: Any = None
        self._own = threading.local()

    def lanes(self) -> tuple[Lane, ...]:
        """One a core."""
        return (self.encode,) * usable_cores()

    def encode(self, pixels: "torch.Tensor") -> Features:
        """From any thread. Raises UsageError: OpenVINO cannot run this network."""
        import torch

        with torch.inference_mode():
            scaled = self._scale(pixels.contiguous())
        with self._converting:
            if self._compiled is None:
                self._compiled = self._compile(scaled[:1])
        if not hasattr(self._own, "request"):
            self._own.request = self._compiled.create_infer_request()
        return self._own.request.infer({0: scaled.numpy()}, share_inputs=True)[0]

    def _compile(self, example: "torch.Tensor") -> Any:
        """Through the frontend itself: `openvino.convert_model` reports each use of it to its makers."""
        import openvino
        from openvino.frontend import FrontEndManager
        from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

        cores = usable_cores()
        settings = {
            "INFERENCE_PRECISION_HINT": HINTS[self._precision],
            "INFERENCE_NUM_THREADS": cores,
            "NUM_STREAMS": cores,
            "ENABLE_CPU_PINNING": False,
        }
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # tracing is deprecated, and the traced constants are meant
                traced = TorchScriptPythonDecoder(self._network, example_input=(example,))
                frontend = FrontEndManager().load_by_framework("pytorch")
                model = frontend.convert(frontend.load(traced))
            model.reshape([-1, *example.shape[1:]])
            return openvino.Core().compile_model(model, "CPU", settings)
        except Exception as error:  # tracing, converting and compiling each have their own
            raise UsageError(
                f"openvino cannot run {type(self._network).__name__} ({str(error).splitlines()[0][:120]})",
                "Give --backend torch",
            ) from None
