#include "inspect/as_json.h"

#include <nlohmann/json.hpp>

#include "inspect/overview.h"
#include "inspect/statistics.h"

namespace backplane {

using Json = nlohmann::ordered_json;

namespace {

Json as_json(const Statistics& figures) {
  Json json{{"zeros", figures.zeros}, {"nans", figures.nans}, {"infinities", figures.infinities}};
  const bool has_numbers = figures.finite() > 0;
  json["norm"] = figures.norm();
  json["mean"] = has_numbers ? Json(figures.mean) : Json();
  json["std"] = has_numbers ? Json(figures.standard_deviation()) : Json();
  json["min"] = has_numbers ? Json(figures.low) : Json();
  json["max"] = has_numbers ? Json(figures.high) : Json();
  return json;
}

Json head(const FileTensor& tensor) {
  return {{"name", tensor.name},
          {"shape", tensor.shape},
          {"dtype", tensor.stored},
          {"axes", tensor.axes},
          {"definition", tensor.definition}};
}

Json as_json(const TensorFile& file, const FileLayer& layer) {
  Json json{{"name", layer.name}};
  if (!file.is_trace())
    json.update(Json{{"type", layer.type},
                     {"activation", layer.activation},
                     {"plugin", layer.plugin},
                     {"plugin_version", layer.plugin_version}});
  json["tensors"] = Json::array();
  for (const FileTensor& tensor : layer.tensors) {
    Json described = head(tensor);
    Json& statistics = described["statistics"] = Json::array();
    for (std::size_t record = 0; record < file.steps().size(); ++record) {
      Json figures{{"step", file.steps()[record]}};
      figures.update(as_json(statistics_of(file, tensor, record)));
      statistics.push_back(std::move(figures));
    }
    json["tensors"].push_back(std::move(described));
  }
  return json;
}

Json head(const TensorFile& file) {
  Json json{{"file", file.path()}, {"kind", file.is_trace() ? "trace" : "checkpoint"}, {"steps", file.steps()}};
  if (file.is_trace()) json["is_being_written"] = file.is_being_written();
  if (!file.is_trace()) {
    json["weights_digest"] = file.weights_digest();
    Json& state = json["state"] = Json::object();
    for (const auto& [name, value] : file.integers()) state[name] = value;
    for (const auto& [name, value] : file.numbers()) state[name] = value;
  }
  json["samples"] = file.samples();
  return json;
}

}  // namespace

Json overview_as_json(const TensorFile& file, const std::string& layer) {
  Json json = head(file);
  json["layers"] = Json::array();
  if (!layer.empty() && !file.is_trace()) find_layer(file, layer);
  for (const FileLayer& each : file.layers())
    if (layer.empty() || each.name == layer) json["layers"].push_back(as_json(file, each));
  return json;
}

Json numbers_as_json(const TensorFile& part, const std::string& layer) {
  Json json{{"steps", part.steps()}, {"layers", Json::object()}};
  for (const FileLayer& each : part.layers()) {
    if (!layer.empty() && each.name != layer) continue;
    for (const FileTensor& tensor : each.tensors) {
      Json& values = json["layers"][each.name][tensor.name] = Json::array();
      for (std::size_t record = 0; record < part.steps().size() && tensor.shape.empty(); ++record)
        values.push_back(element(part.read(tensor, record, TensorFile::whole(tensor)), tensor.dtype, 0));
    }
  }
  return json;
}

Json values_as_json(const TensorFile& file, const Selection& selection) {
  const Selected found = find(file, selection);
  const auto& [layer, tensor, record] = found;
  Json json = head(*tensor);
  json["layer"] = layer->name;
  json["step"] = file.steps()[record];
  const std::int64_t row = selection.sample.value_or(0);
  if (selection.sample) {
    json["sample"] = row;
    json["sample_index"] = file.samples()[record][static_cast<std::size_t>(row)];
    json["shape"].erase(0);
    json["axes"].erase(0);
  }
  std::vector<double> values;
  const auto add = [&](const TensorFile::Piece& piece) {
    const Buffer data = file.read(*found.tensor, found.record, piece);
    for (std::int64_t i = 0; i < piece.count; ++i) values.push_back(element(data, found.tensor->dtype, i));
  };
  if (selection.sample)
    add(TensorFile::row(*tensor, row));
  else
    TensorFile::for_each_piece(*tensor, add);
  json["values"] = std::move(values);
  return json;
}

std::string to_text(const Json& json) {
  return json.dump(2, ' ', true, Json::error_handler_t::replace) + "\n";
}

}  // namespace backplane
