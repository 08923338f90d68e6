#include "base/suggest.h"

#include <algorithm>
#include <cctype>

namespace backplane {

namespace {

/// Optimal string alignment distance: insertions, deletions, substitutions and swaps of neighbours.
std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> before_last(b.size() + 1), last(b.size() + 1), row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) last[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t cost = a[i - 1] == b[j - 1] ? 0 : 1;
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + cost});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        row[j] = std::min(row[j], before_last[j - 2] + 1);
    }
    std::swap(before_last, last);
    std::swap(last, row);
  }
  return last[b.size()];
}

std::string folded(std::string_view text) {
  std::string result;
  for (const char c : text)
    result += c == '-' || c == ' ' ? '_' : static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return result;
}

/// "mse" of "mean_squared_error".
std::string initials(std::string_view name) {
  std::string letters;
  for (std::size_t i = 0; i < name.size(); ++i)
    if (i == 0 || name[i - 1] == '_') letters += name[i];
  return letters;
}

/// Whether the words of `part` stand in `name`, one after another: "cross_entropy" in "softmax_cross_entropy".
bool has_words(const std::string& name, const std::string& part) {
  return ("_" + name + "_").find("_" + part + "_") != std::string::npos;
}

}  // namespace

std::string nearest_name(std::string_view wrong, const std::vector<std::string>& known) {
  constexpr std::size_t kLongestName = 64;
  if (wrong.empty() || wrong.size() > kLongestName) return {};
  const std::string wanted = folded(wrong);
  std::string best;
  // In halves of an edit: what is left out of a name weighs more than one letter, and less than two.
  constexpr std::size_t kLeftOut = 3;
  std::size_t best_distance = 2 * (std::max<std::size_t>(1, wanted.size() / 3) + 1);
  for (const std::string& name : known) {
    const std::string candidate = folded(name);
    std::size_t distance = 2 * edit_distance(wanted, candidate);
    if (wanted.size() >= 3 && (candidate.starts_with(wanted) || wanted.starts_with(candidate) ||
                               has_words(candidate, wanted) || initials(candidate) == wanted))
      distance = std::min(distance, kLeftOut);
    if (distance < best_distance) {
      best_distance = distance;
      best = name;
    }
  }
  return best;
}

}  // namespace backplane
