#include "checkpoint/snapshot_pipe.h"

#include "base/error.h"

namespace backplane {

namespace {

// Each `transfer` names the fields once: out of the child and into the parent in the same order.

struct Out {
  ChildOutput& pipe;

  void operator()(const std::int64_t& value) { pipe.number(value); }
  void operator()(const double& value) { pipe.number(value); }
  void operator()(const bool& value) { pipe.number(std::int64_t{value}); }
  void operator()(const std::string& value) { pipe.text(value); }
  void operator()(const StoredTensor& tensor) {
    (*this)(tensor.shape);
    (*this)(tensor.dtype == DType::float32);
    pipe.bytes(tensor.data.data(), tensor.data.bytes());
    (*this)(tensor.axes);
    (*this)(tensor.attributes);
  }
  template <class T>
  void operator()(const std::vector<T>& values) {
    pipe.number(std::ssize(values));
    for (const T& value : values) (*this)(value);
  }
  template <class T>
  void operator()(const std::map<std::string, T>& values) {
    pipe.number(std::ssize(values));
    for (const auto& [name, value] : values) (*this)(name), (*this)(value);
  }
  void operator()(const StoredLayer& layer);
};

struct In {
  ChildInput& pipe;

  void operator()(std::int64_t& value) { value = pipe.number<std::int64_t>(); }
  void operator()(double& value) { value = pipe.number<double>(); }
  void operator()(bool& value) { value = pipe.number<std::int64_t>() != 0; }
  void operator()(std::string& value) { value = pipe.text(); }
  void operator()(StoredTensor& tensor) {
    (*this)(tensor.shape);
    bool is_single = false;
    (*this)(is_single);
    tensor.dtype = is_single ? DType::float32 : DType::float64;
    for (const std::int64_t extent : tensor.shape) BP_ASSERT(extent >= 0);
    const std::size_t bytes = static_cast<std::size_t>(element_count(tensor.shape)) * size_of(tensor.dtype);
    pipe.require_room(bytes);
    tensor.data = Buffer(bytes);
    pipe.bytes(tensor.data.data(), bytes);
    (*this)(tensor.axes);
    (*this)(tensor.attributes);
  }
  template <class T>
  void operator()(std::vector<T>& values) {
    for (auto left = pipe.number<std::ptrdiff_t>(); left > 0; --left) {
      T value{};
      (*this)(value);
      values.push_back(std::move(value));
    }
  }
  template <class T>
  void operator()(std::map<std::string, T>& values) {
    for (auto left = pipe.number<std::ptrdiff_t>(); left > 0; --left) {
      const std::string name = pipe.text();
      (*this)(values[name]);
    }
  }
  void operator()(StoredLayer& layer);
};

template <class Way, class Layer>
void transfer_layer(Way& way, Layer& layer) {
  way(layer.name), way(layer.type), way(layer.activation);
  way(layer.plugin), way(layer.plugin_version), way(layer.plugin_sha256);
  way(layer.trainable);
  way(layer.tensors);
}

template <class Way, class Whole>
void transfer(Way& way, Whole& snapshot) {
  way(snapshot.step), way(snapshot.config), way(snapshot.environment), way(snapshot.weights_digest);
  way(snapshot.integers), way(snapshot.numbers);
  way(snapshot.sample_indices), way(snapshot.input), way(snapshot.target);
  way(snapshot.lengths), way(snapshot.losses), way(snapshot.vocabulary);
  way(snapshot.layers);
}

void Out::operator()(const StoredLayer& layer) {
  transfer_layer(*this, layer);
}
void In::operator()(StoredLayer& layer) {
  transfer_layer(*this, layer);
}

}  // namespace

void send(const Snapshot& snapshot, ChildOutput& output) {
  Out way{output};
  transfer(way, snapshot);
}

Snapshot receive_snapshot(ChildInput& input) {
  Snapshot snapshot;
  In way{input};
  transfer(way, snapshot);
  return snapshot;
}

}  // namespace backplane
