#include "checkpoint/snapshot_pipe.h"

#include "base/error.h"
#include "sandbox/fields.h"

namespace backplane {

template <class Way>
void fields(Way& way, StoredTensor& tensor) {
  bool is_single = tensor.dtype == DType::float32;
  way(tensor.shape, is_single);
  if constexpr (Way::kReads) {
    tensor.dtype = is_single ? DType::float32 : DType::float64;
    for (const std::int64_t extent : tensor.shape) BP_ASSERT(extent >= 0);
    const std::size_t bytes = static_cast<std::size_t>(element_count(tensor.shape)) * size_of(tensor.dtype);
    way.require_room(bytes);
    tensor.data = Buffer(bytes);
  }
  way.raw(tensor.data.data(), tensor.data.bytes());
  way(tensor.axes, tensor.attributes);
}

template <class Way>
void fields(Way& way, StoredLayer& layer) {
  way(layer.name, layer.type, layer.activation);
  way(layer.plugin, layer.plugin_version, layer.plugin_sha256);
  way(layer.trainable, layer.tensors);
}

template <class Way>
void fields(Way& way, Snapshot& snapshot) {
  way(snapshot.step, snapshot.config, snapshot.environment, snapshot.weights_digest);
  way(snapshot.integers, snapshot.numbers);
  way(snapshot.sample_indices, snapshot.input, snapshot.target);
  way(snapshot.lengths, snapshot.losses, snapshot.vocabulary);
  way(snapshot.layers);
}

void send(const Snapshot& snapshot, ByteWriter& answer) {
  write_fields(answer, snapshot);
}

Snapshot receive_snapshot(ByteReader& answer) {
  return read_fields<Snapshot>(answer);
}

}  // namespace backplane
