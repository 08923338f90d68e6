#include "run/thread_trace.h"

#include <fmt/format.h>

#include <iterator>
#include <nlohmann/json.hpp>

namespace backplane {

namespace {

/// Names of layers may hold anything that YAML can.
std::string as_json(const std::string& text) {
  return nlohmann::json(text).dump();
}

/// "forward hidden1", with what is cut into slices or tiles said in args.
std::string event(const TaskLog::Task& task, int worker, const Network& network) {
  std::string name = name_of(task.work), args;
  if (task.layer >= 0) name += " " + network.nodes()[static_cast<std::size_t>(task.layer)].name();
  if (task.part >= 0) {
    const bool is_tile = task.work == Work::gradient || task.work == Work::reduction || task.work == Work::optimizer ||
                         task.work == Work::pack;
    args = fmt::format(R"(,"args":{{"{}":{}}})", is_tile ? "tile" : "slice", task.part);
  }
  return fmt::format(R"({{"name":{},"cat":"{}","ph":"X","ts":{:.3f},"dur":{:.3f},"pid":1,"tid":{}{}}})", as_json(name),
                     name_of(task.work), static_cast<double>(task.begin) * 1e-3,
                     static_cast<double>(task.end - task.begin) * 1e-3, worker, args);
}

}  // namespace

void write_thread_trace(const Output& output, const TaskLog& log, const Network& network) {
  std::string text = "{\"displayTimeUnit\":\"ns\",\"traceEvents\":[\n";
  for (int worker = 0; worker <= log.workers(); ++worker) {
    const std::string name = worker == log.workers() ? "between loops" : fmt::format("worker {}", worker);
    text += fmt::format(R"({{"name":"thread_name","ph":"M","pid":1,"tid":{},"args":{{"name":"{}"}}}})", worker, name);
    for (const TaskLog::Task& task : log.track(worker).tasks) text += ",\n" + event(task, worker, network);
    text += worker == log.workers() ? "\n" : ",\n";
  }
  output.write(text + "]}\n");
}

}  // namespace backplane
