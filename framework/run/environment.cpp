#include "run/environment.h"

#include <blis.h>
#include <hdf5.h>
#include <oneapi/dnnl/dnnl.h>
#include <oneapi/tbb/version.h>
#include <sys/utsname.h>

#include <fmt/format.h>

#include <fstream>
#include <string>
#include <variant>

#include "base/printable.h"
#include "base/digest.h"
#include "files/file_digest.h"
#include "parallel/cores.h"

namespace backplane {

namespace {

std::string cpu_model() {
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);)
    if (line.starts_with("model name")) return line.substr(line.find(':') + 2);
  return "unknown";
}

/// The level of x86-64 that kernels chosen at run time can use.
std::string instruction_set() {
#if defined(__x86_64__)
  __builtin_cpu_init();
  const bool is_v3 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
                     __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2");
  const bool is_v4 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                     __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
                     __builtin_cpu_supports("avx512vl");
  return is_v3 && is_v4 ? "x86-64-v4" : is_v3 ? "x86-64-v3" : "x86-64";
#else
  return "unknown";
#endif
}

std::string dnnl_text() {
  const dnnl_version_t* version = dnnl_version();
  return fmt::format("{}.{}.{} (isa {:#x})", version->major, version->minor, version->patch,
                     static_cast<unsigned>(dnnl_get_effective_cpu_isa()));
}

/// SHA-256 over everything that training sees of a split. Empty where there is none.
std::string digest_of(const DataSet& data, const Samples* samples) {
  if (samples == nullptr) return "";
  Sha256 digest;
  const auto add = [&](const auto& values) {
    const std::uint64_t count = values.size();
    digest.add(&count, sizeof count);
    digest.add(values.data(), values.size() * sizeof values[0]);
  };
  add(data.input_shape);
  add(data.shift);
  add(data.scale);
  for (const std::string& symbol : data.vocabulary) add(symbol);
  for (const std::uint64_t number : {static_cast<std::uint64_t>(data.classes), std::uint64_t(samples->inputs.index()),
                                     std::uint64_t(samples->targets.index())})
    digest.add(&number, sizeof number);
  std::visit(add, samples->inputs);
  std::visit(add, samples->targets);
  add(samples->lengths);
  return digest.hex();
}

template <class T>
nlohmann::ordered_json to_json(const T& value) {
  return value;
}
/// JSON is UTF-8; names in files may be anything.
nlohmann::ordered_json to_json(const std::string& text) {
  return printable(text);
}
nlohmann::ordered_json to_json(const std::vector<std::string>& texts) {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const std::string& text : texts) list.push_back(printable(text));
  return list;
}

/// What was concluded of the data, one field a finding; `warnings` where there are any.
nlohmann::ordered_json describe_findings(const DataSet& data) {
  nlohmann::ordered_json findings;
  for (const Finding& finding : findings_of(data))
    std::visit([&](const auto& value) { findings[finding.name] = to_json(value); }, finding.value);
  if (!data.warnings.empty()) findings["warnings"] = to_json(data.warnings);
  return findings;
}

}  // namespace

nlohmann::ordered_json describe_environment(const Registry& registry, const DataSet& data, int threads) {
  utsname system{};
  uname(&system);
  nlohmann::ordered_json environment{
      {"program", "backplane " BACKPLANE_VERSION},
      {"compiler", "g++ " __VERSION__},
      {"system", fmt::format("{} {} {}", system.sysname, system.release, system.machine)},
      {"cpu", printable(cpu_model())},
      {"instruction_set", instruction_set()},
      {"cores", usable_cores()},
      {"threads", threads},
      {"libraries",
       {{"oneDNN", dnnl_text()},
        {"BLIS", fmt::format("{} ({})", bli_info_get_version_str(), bli_arch_string(bli_arch_query_id()))},
        {"oneTBB", TBB_runtime_version()},
        {"HDF5", H5_VERS_INFO}}},
      {"plugins", nlohmann::ordered_json::array()}};
  for (const Library& library : registry.libraries())
    environment["plugins"].push_back({{"id", printable(library.identity.id)},
                                      {"version", printable(library.identity.version)},
                                      {"sha256", library.identity.sha256},
                                      {"file", printable(library.identity.file)}});
  environment["data"] = nlohmann::ordered_json::array();
  for (const std::string& file : data.files)
    environment["data"].push_back({{"file", printable(file)}, {"sha256", sha256_of_file(file)}});
  const auto split = [](const std::optional<Samples>& samples) { return samples ? &*samples : nullptr; };
  environment["data_findings"] = describe_findings(data);
  environment["data_sha256"] = {{"train", digest_of(data, &data.train)},
                                {"validation", digest_of(data, split(data.validation))},
                                {"test", digest_of(data, split(data.test))}};
  return environment;
}

std::string describe_versions(const Registry& registry) {
  std::string text =
      "# Every default filled in; running this file again gives the same bits.\n# backplane " BACKPLANE_VERSION "\n";
  for (const Library& library : registry.libraries())
    text += fmt::format("# {} {}  sha256 {}\n", library.identity.id, library.identity.version, library.identity.sha256);
  return text;
}

}  // namespace backplane
