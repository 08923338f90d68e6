#include <gtest/gtest.h>

#include <cerrno>
#include <filesystem>
#include <future>
#include <string>
#include <system_error>

#include "base/counted.h"
#include "base/median.h"
#include "base/printable.h"
#include "base/utf8.h"
#include "base/suggest.h"
#include "base/system_error.h"

namespace backplane {
namespace {

TEST(NearestName, KnowsSlipsWordsAndInitials) {
  const std::vector<std::string> losses{"squared_error", "mean_squared_error", "softmax_cross_entropy",
                                        "binary_cross_entropy"};
  EXPECT_EQ(nearest_name("cross_entropy", losses), "softmax_cross_entropy");
  EXPECT_EQ(nearest_name("crossentropy", losses), "");
  EXPECT_EQ(nearest_name("MSE", losses), "mean_squared_error");
  EXPECT_EQ(nearest_name("bce", losses), "binary_cross_entropy");
  EXPECT_EQ(nearest_name("error", losses), "squared_error");
  EXPECT_EQ(nearest_name("sotfmax_cross_entropy", losses), "softmax_cross_entropy");
  EXPECT_EQ(nearest_name("hinge", losses), "");
  EXPECT_EQ(nearest_name("gradient", {"activation_gradient", "gradients"}), "gradients");
}

TEST(Utf8, IsReadCharacterByCharacter) {
  const auto first = [](const char* text) { return std::pair(first_character(text).code, first_character(text).size); };
  using Character = std::pair<char32_t, std::size_t>;
  EXPECT_EQ(first("a…"), Character('a', 1));
  EXPECT_EQ(first("…a"), Character(U'…', 3));
  EXPECT_EQ(first("\xf0\x9f\x92\xa1"), Character(U'\U0001F4A1', 4));
  // Nothing, a byte within, overlong, a surrogate, beyond the last, cut off
  for (const char* none :
       {"", "\x80", "\xc0\x80", "\xe0\x80\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xf8", "\xe2\x80"}) {
    EXPECT_EQ(first(none).second, 0u) << none;
    EXPECT_EQ(is_utf8(none), *none == '\0') << none;
  }
  EXPECT_TRUE(is_utf8(std::string_view("a\0δ", 4)));
  EXPECT_EQ(character_count("δ = ∂C"), 6u);
  EXPECT_EQ(cut_short("δδ", 4), "δδ");
  EXPECT_EQ(cut_short("δδ", 3), "δ…");
  EXPECT_EQ(cut_short("δδ", 1), "…");
}

TEST(Diagnostic, NothingInItLooksLikeAnotherLineOrReachesTheTerminal) {
  const Diagnostic finding{.place = {"a\n.yaml", 1, 2}, .what = "b\x1b[31m", .path = "c\xe9", .hint = "d\ne"};
  EXPECT_EQ(finding.text(), "a\\x0a.yaml:1:2: error: b\\x1b[31m\n  c\\xe9\n  hint: d\\x0ae");
}

TEST(Diagnostic, NamesOnlyTheFirstOfManyKnownNames) {
  const std::vector<std::string> known(2000, std::string(100, 'n'));
  const std::string text = Diagnostic{.what = "w", .known = known}.text();
  EXPECT_TRUE(text.ends_with(", … and 1960 more")) << text;
  EXPECT_EQ(text.find(std::string(81, 'n')), std::string::npos);
}

TEST(Counted, OneIsSingular) {
  EXPECT_EQ(counted(1, "sample"), "1 sample");
  EXPECT_EQ(counted(std::size_t{0}, "sample"), "0 samples");
  EXPECT_EQ(counted(2, "sample"), "2 samples");
}

TEST(SystemError, EveryErrnoHasWords) {
  for (int error = 1; error < 140; ++error) {
    EXPECT_FALSE(reason_of(error).empty()) << error;
    EXPECT_EQ(printable(reason_of(error)), reason_of(error)) << error;
  }
}

TEST(ShellWord, IsWhatAShellTakesForThePath) {
  EXPECT_EQ(shell_word("runs/mlp/checkpoints/step-00000040.h5"), "runs/mlp/checkpoints/step-00000040.h5");
  EXPECT_EQ(shell_word("-dash/x"), "./-dash/x");
  EXPECT_EQ(shell_word("two words"), "'two words'");
  EXPECT_EQ(shell_word("a'b$(c)\\"), "'a'\\''b$(c)\\'");
  EXPECT_EQ(shell_word("new\nline\\'\xff"), "$'new\\x0aline\\\\\\'\\xff'");
  EXPECT_EQ(shell_word("δ"), "'δ'");
}

TEST(SystemError, PermissionIsNotAbsence) {
  EXPECT_EQ(reason_of(EACCES), "permission denied");
  EXPECT_EQ(reason_of(ENOENT), "there is no such file or directory");
  EXPECT_EQ(reason_of(ELOOP), "symbolic links lead in a circle");
  EXPECT_EQ(reason_of(ECHILD), "No child processes (ECHILD)");
}

TEST(SystemError, WhatTheUserMayNotReadIsMissingInputAndABrokenDiskIsNot) {
  for (const int error : {ENOENT, EACCES, ENOTDIR, EISDIR, ENAMETOOLONG, ELOOP})
    EXPECT_EQ(code_of_reading(error), ExitCode::no_input) << error;
  for (const int error : {EIO, EMFILE, ENOMEM, EROFS, ECHILD}) EXPECT_EQ(code_of_reading(error), ExitCode::io) << error;
}

TEST(SystemError, SaysPathReasonAndRemedy) {
  const UserError error = system_error(ExitCode::io, "a/b", "cannot be written", ENOSPC);
  EXPECT_STREQ(error.what(), "error: a/b: cannot be written: the disk is full\n  hint: make room on that disk");
}

TEST(SystemError, ExceptionsOfTheStandardLibraryKeepTheirPath) {
  const std::filesystem::filesystem_error thrown("status", "a/b", std::error_code(ELOOP, std::system_category()));
  const UserError error = system_error(thrown);
  EXPECT_EQ(error.code(), ExitCode::io);
  EXPECT_EQ(error.diagnostics().front().what, "a/b: the system refused: symbolic links lead in a circle");
  EXPECT_EQ(system_error(std::system_error(EAGAIN, std::system_category())).diagnostics().front().what,
            "the system refused what the program needs: the system has nothing to spare for it at the moment");
  const std::system_error other(std::make_error_code(std::future_errc::no_state));  // 3, which as an errno is ESRCH
  EXPECT_EQ(system_error(other).diagnostics().front().what,
            std::string("the system refused what the program needs: ") + other.what());
}

TEST(Median, IsInTheMiddleOrBetweenTheTwoThatAre) {
  EXPECT_EQ(median({7}), 7);
  EXPECT_EQ(median({9, 1, 5}), 5);
  EXPECT_EQ(median({8, 1, 4, 2}), 3);
}

}  // namespace
}  // namespace backplane
