#pragma once

#include <filesystem>
#include <string>
#include <system_error>

namespace backplane {

/// The directory that a path stands in: "." for a name alone.
std::string directory_of(const std::filesystem::path& path);

/// What a path stands for once links at its end are followed, also those that lead to nothing yet. `error` where they
/// lead in a circle or cannot be read; the path is then empty.
std::filesystem::path end_of_links(std::filesystem::path path, std::error_code& error);

/// What a path stands for, with all links followed that there are, also where nothing stands there yet. Empty
/// where that cannot be said: nothing can be written there.
std::filesystem::path resolved_path(const std::filesystem::path& path);

/// A path without "." and "..", which means what the system takes it for: ".." behind a link leads out of what the link
/// leads to, not out of the directory that the link is in. Other links stay.
std::filesystem::path without_dots(const std::filesystem::path& path);

/// Whether a path leads into a directory, or to it.
bool is_inside(const std::filesystem::path& path, const std::filesystem::path& directory);

/// `stem`, or where something has that name the first of "<stem>.1", "<stem>.2", … that nothing has.
std::string free_name(const std::string& stem);

}  // namespace backplane
