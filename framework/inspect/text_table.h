#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace backplane {

/// A table for a terminal: columns as wide as their widest cell, the first `left` ones flush left, the others right.
class TextTable {
 public:
  explicit TextTable(std::size_t left) : left_(left) {}
  void add(std::vector<std::string> cells) { rows_.push_back(std::move(cells)); }
  /// Each row a line, behind two blanks.
  std::string text() const;

 private:
  std::size_t left_;
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace backplane
