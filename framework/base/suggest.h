#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace backplane {

/// The name in `known` closest to `wrong` by Damerau-Levenshtein distance (Damerau 1964), or "" where none is
/// close enough to be a likely slip: more than a third of the letters differ, neither begins with the other, and `wrong`
/// is neither some of its words ("cross_entropy" of "softmax_cross_entropy") nor its initials.
std::string nearest_name(std::string_view wrong, const std::vector<std::string>& known);

}  // namespace backplane
