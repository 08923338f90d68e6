#include "experiment/initial_weights.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <string_view>
#include <tuple>

#include "base/printable.h"
#include "base/suggest.h"
#include "exchange/torch_names.h"
#include "exchange/weight_file.h"
#include "model_state/catalogue.h"

namespace backplane {

using config::Node;
using config::Schema;

Schema initial_weights_schema() {
  const Schema map =
      Schema::map()
          .required("file", Schema::text(), "safetensors, npz, or a checkpoint")
          .optional("rename", Schema::list(Schema::text()), "[]",
                    "OLD=NEW: a name of the file, or its part up to a dot")
          .optional("partial", Schema::boolean(), "false", "true: what the file lacks keeps its initial values");
  return Schema::either(Schema::text(), map);
}

InitialWeights read_initial_weights(const Node& section) {
  const Node& file = section.is_scalar() ? section : section.at("file");
  if (file.as_text().empty())
    throw UserError(ExitCode::bad_config, Diagnostic{.place = file.place,
                                                     .what = "a path is expected, and this one is empty",
                                                     .path = "network.init_from"});
  if (section.is_scalar()) return {.file = file.as_text(), .renames = {}, .place = file.place};
  InitialWeights initial{
      .file = file.as_text(), .renames = {}, .is_partial = section.at("partial").as_bool(), .place = file.place};
  for (const Node& item : section.at("rename").list) {
    const std::string& text = item.as_text();
    const std::size_t equals = text.find('=');
    if (equals == std::string::npos || equals == 0)
      throw UserError(ExitCode::bad_config,
                      Diagnostic{.place = item.place,
                                 .what = fmt::format("'{}' is no rename", text),
                                 .path = "network.init_from.rename",
                                 .hint = "write OLD=NEW: the name in the file, then the name in this network"});
    initial.renames.emplace_back(text.substr(0, equals), text.substr(equals + 1));
  }
  return initial;
}

namespace {

/// A tensor of the network that a file may give.
struct Target {
  std::string layer, name;
  Shape shape;
  void* values;
  bool is_parameter;
  const WeightEntry* source = nullptr;

  std::string full_name() const { return layer + "." + name; }
};

std::vector<Target> targets_of(Network& network) {
  std::vector<Target> targets;
  for (std::size_t i = 0; i < network.nodes().size(); ++i)
    for (const LayerTensor& tensor : tensors_of(network, i, false, {}))
      if (tensor.kind->lifetime == TensorLifetime::kept && tensor.extent == TensorExtent::layer)
        targets.push_back({network.nodes()[i].name(), tensor.name.substr(tensor.kind->name.size() + 1), tensor.shape,
                           tensor.writable_data(network), tensor.kind->name == "weights"});
  return targets;
}

/// Every name by which a target may be called. Of names that fit several targets, the full one wins, then none.
class Names {
 public:
  explicit Names(std::vector<Target>& targets) {
    for (Target& target : targets) full_[target.full_name()] = &target;
    for (Target& target : targets) {
      const std::string torch = torch_name(target.name);
      for (const std::string& other : std::set<std::string>{target.layer + "." + torch, target.name, torch}) {
        const auto [found, is_new] = other_.emplace(other, &target);
        if (!is_new) found->second = nullptr;
      }
    }
  }

  Target* find(const std::string& name) const {
    for (const auto* names : {&full_, &other_})
      if (const auto found = names->find(name); found != names->end()) return found->second;
    return nullptr;
  }

 private:
  std::map<std::string, Target*> full_, other_;
};

/// `name` as the first rename that fits makes it; whole names go before parts.
std::string renamed(const std::string& name, const InitialWeights& initial, std::set<std::string>& used) {
  for (const auto& [from, to] : initial.renames)
    if (name == from) return used.insert(from), to;
  for (const auto& [from, to] : initial.renames)
    if (name.starts_with(from + ".")) return used.insert(from), to + name.substr(from.size());
  return name;
}

/// "0.weight" → "0"; what has no dot is of the layer "".
std::string module_of(const std::string& name) {
  const std::size_t dot = name.rfind('.');
  return dot == std::string::npos ? "" : name.substr(0, dot);
}

/// "layers.2" before "layers.10": part by part, numbers by their value and before words.
bool comes_before(const std::string& a, const std::string& b) {
  using Part = std::tuple<bool, std::size_t, std::string_view>;  // a word; digits of a number; they or the word
  const auto parts = [](std::string_view text) {
    std::vector<Part> found;
    for (std::size_t begin = 0; begin <= text.size();) {
      const std::size_t end = std::min(text.find('.', begin), text.size());
      std::string_view part = text.substr(begin, end - begin);
      const bool is_word = part.empty() || part.find_first_not_of("0123456789") != std::string_view::npos;
      if (!is_word) part.remove_prefix(std::min(part.find_first_not_of('0'), part.size() - 1));
      found.emplace_back(is_word, is_word ? 0 : part.size(), part);
      begin = end + 1;
    }
    return found;
  };
  const std::vector<Part> parts_a = parts(a), parts_b = parts(b);
  return parts_a != parts_b ? parts_a < parts_b : a < b;  // "01" and "1" are two modules
}

/// Renames by which every tensor of the file would find its place, if modules stand in the order of the layers and
/// have their shapes; "" where they have not.
std::string likely_renames(const WeightFile& file, const std::vector<Target>& targets) {
  using Shapes = std::map<std::string, Shape>;  // by what PyTorch calls the tensor within its module
  std::vector<std::pair<std::string, Shapes>> layers;
  for (const Target& target : targets) {
    if (!target.is_parameter) continue;
    if (layers.empty() || layers.back().first != target.layer) layers.push_back({target.layer, {}});
    layers.back().second[torch_name(target.name)] = target.shape;
  }
  std::map<std::string, Shapes, decltype(&comes_before)> modules(comes_before);
  for (const WeightEntry& entry : file.entries) {
    const std::string module = module_of(entry.name);
    const std::string name = entry.name.substr(module.empty() ? 0 : module.size() + 1);
    if (entry.element != Element::other && !name.starts_with("running_")) modules[module][name] = entry.shape;
  }
  if (modules.size() != layers.size() || modules.contains("")) return {};
  std::vector<std::string> words;
  std::size_t i = 0;
  for (const auto& [module, shapes] : modules) {
    if (shapes != layers[i].second) return {};
    words.push_back(fmt::format("--rename {}={}", module, layers[i++].first));
  }
  return fmt::format("by order and shape, these would do: {}", fmt::join(words, " "));
}

/// Gives every target its source. Collects what is wrong.
class Matching {
 public:
  Matching(const InitialWeights& initial, const WeightFile& file, std::vector<Target>& targets)
      : initial_(initial), file_(file), targets_(targets) {
    const Names names(targets);
    for (const WeightEntry& entry : file.entries) match(entry, names);
    look_for_unused_renames();
    look_for_missing();
    if (findings_.empty()) return;
    if (has_names_wrong_) findings_.back().hint = likely_renames(file, targets);
    if (has_names_wrong_ && findings_.back().hint.empty())
      findings_.back().hint =
          "rename: [OLD=NEW] or --rename maps names; partial: true leaves out what has no counterpart";
    constexpr std::size_t kMost = 20;
    if (findings_.size() > kMost) findings_.erase(findings_.begin() + kMost - 1, findings_.end() - 1);
    throw UserError(ExitCode::bad_data, findings_);
  }

  const std::vector<std::string>& passed_over() const { return passed_over_; }

 private:
  void match(const WeightEntry& entry, const Names& names) {
    const std::string name = renamed(entry.name, initial_, used_);
    const auto called = [&] {
      return name == entry.name ? fmt::format("'{}'", name) : fmt::format("'{}', renamed '{}',", entry.name, name);
    };
    Target* target = names.find(name);
    if (target == nullptr) {
      if (name.ends_with("num_batches_tracked")) return;
      if (initial_.is_partial) return passed_over_.push_back(entry.name);
      std::vector<std::string> known;
      for (const Target& other : targets_) known.push_back(other.full_name());
      has_names_wrong_ = true;
      return report(fmt::format("this network has no parameter '{}'{}", name,
                                name == entry.name ? "" : fmt::format(", as which '{}' was renamed", entry.name)),
                    nearest_name(name, known), known);
    }
    if (target->source != nullptr)
      return report(
          fmt::format("'{}' and '{}' would both be {}", target->source->name, entry.name, target->full_name()));
    target->source = &entry;
    if (entry.shape != target->shape) {
      Shape reversed = entry.shape;
      std::reverse(reversed.begin(), reversed.end());
      report(fmt::format("{} has shape {}, {} has shape {}{}", called(), to_string(entry.shape), target->full_name(),
                         to_string(target->shape),
                         reversed == target->shape ? ": transpose it, weights are (out, in)" : ""));
    } else if (entry.element == Element::other) {
      report(fmt::format("{} has type {}, {} wants numbers of 16, 32 or 64 bits with a fraction, little-endian",
                         called(), entry.stored_type, target->full_name()));
    }
  }

  void look_for_unused_renames() {
    for (const auto& [from, to] : initial_.renames) {
      if (used_.contains(from)) continue;
      std::vector<std::string> known;
      for (const WeightEntry& entry : file_.entries)
        for (const std::string& name : {module_of(entry.name), entry.name})
          if (!name.empty() && std::ranges::find(known, name) == known.end()) known.push_back(name);
      report(fmt::format("nothing in the file is called '{}', which is to be '{}'", from, to),
             nearest_name(from, known), known);
    }
  }

  void look_for_missing() {
    if (initial_.is_partial) return;
    for (const Target& target : targets_) {
      if (target.source != nullptr || !target.is_parameter) continue;
      has_names_wrong_ = true;
      std::vector<std::string> known;
      for (const WeightEntry& entry : file_.entries) known.push_back(entry.name);
      report(
          fmt::format("has no '{}', which has shape {} in this network", target.full_name(), to_string(target.shape)),
          nearest_name(target.full_name(), known), known);
    }
  }

  void report(std::string what, std::string nearest = {}, std::vector<std::string> known = {}) {
    findings_.push_back({.place = {.source = file_.path},
                         .what = std::move(what),
                         .path = "network.init_from",
                         .nearest = std::move(nearest),
                         .known = std::move(known)});
  }

  const InitialWeights& initial_;
  const WeightFile& file_;
  std::vector<Target>& targets_;
  std::set<std::string> used_;
  std::vector<std::string> passed_over_;
  std::vector<Diagnostic> findings_;
  bool has_names_wrong_ = false;
};

}  // namespace

namespace {

std::vector<std::string> load(const InitialWeights& initial, Network& network) {
  const WeightFile file = open_weight_file(initial.file);
  std::vector<Target> targets = targets_of(network);
  const Matching matching(initial, file, targets);
  std::vector<std::string> kept;
  std::size_t loaded = 0, rounded = 0;
  for (const Target& target : targets) {
    if (target.source == nullptr) {
      kept.push_back(target.full_name());
      continue;
    }
    read_values(file, *target.source, network.dtype(), target.values);
    ++loaded;
    rounded += target.source->element == Element::float64 && network.dtype() == DType::float32;
  }
  std::vector<std::string> notes{
      fmt::format("{} of {} tensors of the network begin as in {}", loaded, targets.size(), initial.file)};
  if (rounded > 0) notes.push_back(fmt::format("{} of them were rounded from float64 to float32", rounded));
  if (!kept.empty()) notes.push_back(fmt::format("not in that file, as initialised: {}", fmt::join(kept, ", ")));
  if (!matching.passed_over().empty())
    notes.push_back(fmt::format("in that file, ignored: {}", fmt::join(matching.passed_over(), ", ")));
  for (std::string& note : notes) note = printable(note);  // names come from the file
  return notes;
}

}  // namespace

std::vector<std::string> load_initial_weights(const InitialWeights& initial, Network& network) try {
  return load(initial, network);
} catch (const UserError& error) {
  std::vector<Diagnostic> findings = error.diagnostics();
  const std::string place = initial.place.text();
  for (Diagnostic& finding : findings)
    finding.path = place.empty() ? "network.init_from" : fmt::format("network.init_from at {}", place);
  throw UserError(error.code(), std::move(findings));
}

}  // namespace backplane
