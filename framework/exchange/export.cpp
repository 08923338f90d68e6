#include "exchange/export.h"

#include <fmt/format.h>

#include <cstring>

#include "exchange/npz.h"
#include "exchange/safetensors.h"
#include "exchange/torch_names.h"
#include "tensor/tensor_kinds.h"

namespace backplane {

std::vector<TensorView> weights_of(const Snapshot& snapshot) {
  std::vector<TensorView> views;
  for (const StoredLayer& layer : snapshot.layers)
    for (const char* group : {"weights", "state"})
      for (const auto& [path, tensor] : layer.tensors) {
        const bool is_carried = !tensor.axes.empty() && tensor.axes[0] == "row";
        if (kind_of(path).name == group && !is_carried)
          views.push_back({fmt::format("{}.{}", layer.name, path.substr(std::strlen(group) + 1)), tensor.shape,
                           tensor.dtype, tensor.data.data()});
      }
  return views;
}

std::string build_weight_file(const Snapshot& snapshot, WeightFormat format, WeightNames names) {
  std::vector<TensorView> views = weights_of(snapshot);
  std::map<std::string, std::string> metadata{
      {"producer", "backplane"}, {"step", std::to_string(snapshot.step)}, {"weights_digest", snapshot.weights_digest}};
  if (names == WeightNames::pytorch) {
    metadata["format"] = "pt";  // Hugging Face's libraries ask for it
    for (TensorView& view : views) {
      const std::size_t dot = view.name.rfind('.');
      view.name = view.name.substr(0, dot + 1) + torch_name(view.name.substr(dot + 1));
    }
  }
  return format == WeightFormat::npz ? build_npz(views) : build_safetensors(views, metadata);
}

}  // namespace backplane
