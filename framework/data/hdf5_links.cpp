#include "data/hdf5_links.h"

#include <fmt/ranges.h>

#include <vector>

#include "base/suggest.h"

namespace backplane {

namespace {

constexpr std::size_t kMostShown = 20;

herr_t add_name(hid_t, const char* name, const H5L_info_t*, void* names) {
  constexpr std::size_t kMostNames = 1 << 14;  // enough to find the nearest one among
  auto& list = *static_cast<std::vector<std::string>*>(names);
  list.emplace_back(name);
  return list.size() < kMostNames ? 0 : 1;
}

std::vector<std::string> names_in(const h5::Handle& group) {
  std::vector<std::string> names;
  hsize_t position = 0;
  H5Literate(group.id(), H5_INDEX_NAME, H5_ITER_NATIVE, &position, add_name, &names);
  return names;
}

/// What a soft link says, as it stands in the file.
std::string target_of(const h5::Handle& group, const std::string& link, std::size_t size) {
  std::string target(size, '\0');
  h5::check(H5Lget_val(group.id(), link.c_str(), target.data(), size, H5P_DEFAULT), "read a link");
  return target.c_str();
}

/// A walk from the root along names, which has a group open, so that each step costs the same however deep it is.
class Walk {
 public:
  Walk(const h5::Handle& file, std::string path, const Origin& origin)
      : file_(file), wanted_(std::move(path)), origin_(origin) {
    enter_root();
  }

  std::string to_end();

 private:
  void enter_root() {
    at_.clear();
    group_ = h5::Handle(H5Gopen2(file_.id(), "/", H5P_DEFAULT), H5Gclose, "open a group");
  }
  void follow(const std::string& name);
  void follow_soft(const std::string& name, const H5L_info_t& link);
  void enter(const std::string& name);
  std::string place() const { return at_.empty() ? "/" : at_; }

  const h5::Handle& file_;
  const std::string wanted_;
  const Origin& origin_;
  h5::Handle group_;  ///< what `at_` names; none where that is no group
  std::string at_, rest_;
  int soft_links_ = 0;
};

std::string Walk::to_end() {
  rest_ = wanted_;
  while (true) {
    rest_.erase(0, rest_.find_first_not_of('/'));
    if (rest_.empty()) return place();
    const std::string name = rest_.substr(0, rest_.find('/'));
    rest_.erase(0, name.size());
    if (name != ".") follow(name);
  }
}

void Walk::follow(const std::string& name) {
  if (!group_) origin_.fail(fmt::format("'{}' has no '{}': it is no group", at_, name));
  H5L_info_t link{};
  if (H5Lget_info(group_.id(), name.c_str(), &link, H5P_DEFAULT) < 0) {
    const std::vector<std::string> names = names_in(group_);
    throw UserError(origin_.code, Diagnostic{.place = origin_.place,
                                             .what = fmt::format("'{}' has no '{}'", place(), name),
                                             .path = origin_.path,
                                             .nearest = nearest_name(name, names),
                                             .known = {},
                                             .hint = holding(group_)});
  }
  if (link.type == H5L_TYPE_HARD) return enter(name);
  if (link.type == H5L_TYPE_SOFT) return follow_soft(name, link);
  origin_.fail(fmt::format("'{}/{}' is a link into another file", at_, name), "copy what it leads to into this one");
}

void Walk::follow_soft(const std::string& name, const H5L_info_t& link) {
  constexpr std::size_t kLongestPath = 1 << 12;
  constexpr int kMostSoftLinks = 16;
  if (link.u.val_size > kLongestPath || ++soft_links_ > kMostSoftLinks)
    origin_.fail(fmt::format("'{}' is a link to itself, or through too many others", wanted_));
  const std::string target = target_of(group_, name, link.u.val_size);
  rest_ = target + rest_;
  if (target.starts_with('/')) enter_root();
}

void Walk::enter(const std::string& name) {
  H5O_info_t info{};
  h5::check(H5Oget_info_by_name2(group_.id(), name.c_str(), &info, H5O_INFO_BASIC, H5P_DEFAULT), "look at an object");
  at_ += "/" + name;
  group_ = info.type == H5O_TYPE_GROUP
               ? h5::Handle(H5Gopen2(group_.id(), name.c_str(), H5P_DEFAULT), H5Gclose, "open a group")
               : h5::Handle();
}

}  // namespace

std::string resolve(const h5::Handle& file, const std::string& path, const Origin& origin) {
  if (path.find('\0') != std::string::npos)  // HDF5 would read the name up to it
    origin.fail(fmt::format("the name '{}' holds a NUL character", path), "leave it out");
  return or_damaged(origin, [&] { return Walk(file, path, origin).to_end(); });
}

std::string holding(const h5::Handle& group) {
  std::vector<std::string> names = names_in(group);
  if (names.empty()) return "it is empty";
  H5G_info_t info{};
  h5::check(H5Gget_info(group.id(), &info), "look at a group");
  if (names.size() > kMostShown) names.resize(kMostShown);
  return fmt::format("it holds: {}{}", fmt::join(names, ", "),
                     info.nlinks > names.size() ? fmt::format(", … and {} more", info.nlinks - names.size()) : "");
}

}  // namespace backplane
