#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <exception>
#include <new>
#include <sstream>
#include <string_view>

#include "base/error.h"
#include "base/system_error.h"
#include "child_jobs/child_jobs.h"
#include "cli/library_variables.h"
#include "cli/output.h"
#include "cli/usage.h"
#include "run/signals.h"
#include "plugin_host/guard.h"
#include "tensor/buffer.h"

namespace backplane::cli {

namespace {

constexpr const char* kOutOfMemory = "error: out of memory\n  hint: a smaller batch, network or data set needs less\n";

constexpr const char* kFooter =
    "Results go to stdout, messages and progress to stderr.\n"
    "Exit codes: 0 ok, 1 what was compared differs, 64 usage, 65 bad data or\n"
    "checkpoint, 66 missing input, 70 plug-in or internal fault, 74 I/O,\n"
    "75 stopped by a signal with a checkpoint, 76 the loss became NaN or infinite,\n"
    "78 bad configuration.";

/// A reader that went had seen enough (`| head`), and so had who closed the terminal.
bool has_reader_gone(int failure) {
  struct stat stream {};
  const bool is_terminal = ::fstat(STDOUT_FILENO, &stream) == 0 && S_ISCHR(stream.st_mode);
  return failure == EPIPE || (failure == EIO && is_terminal);
}

/// What a command ends with once its results are printed. Ones that are lost make an error of a success, and hide no
/// other code.
ExitCode after_printing(ExitCode code) {
  const int failure = failure_of_results();
  if (failure == 0 || has_reader_gone(failure)) return code;
  say("error: the results could not be written to stdout: {}\n", reason_of(failure));
  return code == ExitCode::ok ? ExitCode::io : code;
}

ExitCode report_usage(const CLI::App& app, const CLI::ParseError& error, const Words& words) {
  if (error.get_exit_code() == 0) {  // --help, --version
    std::ostringstream help;
    app.exit(error, help, help);
    print(help.str());
    return after_printing(ExitCode::ok);
  }
  say("{}", usage_message(app, error, words));
  return ExitCode::usage;
}

std::vector<ChildJob> all_child_jobs() {
  std::vector<ChildJob> jobs = child_jobs();
  jobs.push_back(kTryBlis);
  return jobs;
}

ExitCode run(int argc, char** argv) {
  const Words words(argv + 1, argv + argc);
  refuse_empty_values(words);
  CLI::App app("Backplane: backpropagation whose layers are plug-ins", "backplane");
  app.set_version_flag("--version", "backplane " BACKPLANE_VERSION);
  app.footer(kFooter);
  app.formatter(narrow_help());
  app.require_subcommand(1);
  Action action;
  add_run(app, words, action);
  add_bench(app, words, action);
  add_check(app, words, action);
  add_export(app, action);
  add_inspect(app, action);
  add_diff(app, action);
  add_plugin(app, action);
  add_replay(app, action);
  add_verify_resume(app, words, action);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return report_usage(app, error, words);
  }
  const ExitCode code = action();
  return after_printing(code);
}

/// oneTBB's, where it cannot start a thread, on the thread that asked or on one of its own.
bool is_of_thread(const std::exception& error) {
  return std::string_view(error.what()).find("pthread_create") != std::string_view::npos;
}

void say_no_thread(const std::exception& error) {
  say("error: a thread could not be started: {}\n"
      "  hint: fewer --threads; `ulimit -u`, `ulimit -v` and the container's limits bound them and their memory\n",
      error.what());
}

/// What the program was asked to do, and every way in which it may fail.
ExitCode run_or_explain(int argc, char** argv) {
  try {
    settle_library_variables();
    take_signals_on_one_thread();
    return run(argc, argv);
  } catch (const UserError& error) {
    say("{}\n", error.what());
    return error.code();
  } catch (const std::system_error& error) {
    say("{}\n", system_error(error).what());
    return ExitCode::io;
  } catch (const std::bad_alloc&) {
    say("{}", kOutOfMemory);
    return ExitCode::internal;
  } catch (const std::exception& error) {
    if (is_of_thread(error)) return say_no_thread(error), ExitCode::io;
    say("internal error: {}\n  hint: this is a fault of the program; please report it with the command that led here\n",
        error.what());
    return ExitCode::internal;
  }
}

std::terminate_handler end_as_usual = nullptr;

/// Of an exception on a thread where nobody catches it.
[[noreturn]] void end_by_exception() {
  try {
    if (const std::exception_ptr thrown = std::current_exception()) std::rethrow_exception(thrown);
  } catch (const std::bad_alloc&) {
    say("{}", kOutOfMemory);
    end_program(ExitCode::internal);
  } catch (const std::exception& error) {
    if (is_of_thread(error)) say_no_thread(error), end_program(ExitCode::io);
  } catch (...) {
  }
  end_as_usual();
  std::abort();
}

}  // namespace

void explain_exceptions_of_threads() {
  end_as_usual = std::set_terminate(end_by_exception);
}

}  // namespace backplane::cli

int main(int argc, char** argv) {
  backplane::do_job_of_parent(argc, argv, backplane::cli::all_child_jobs());
  const backplane::MainGuard guard;
  backplane::cli::open_missing_streams();
  backplane::cli::explain_exceptions_of_threads();
  backplane::keep_freed_memory();
  const backplane::ExitCode code = backplane::cli::run_or_explain(argc, argv);
  backplane::cli::failure_of_results();  // what an error came behind
  backplane::end_program(code);
}
