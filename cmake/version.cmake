# PUSHCA_VERSION, for the app room alone: the project's version, with the commit when git knows it.
set(version ${PROJECT_VERSION})
find_program(GIT git)
if(GIT)
  execute_process(COMMAND ${GIT} describe --tags --match v[0-9]*
    WORKING_DIRECTORY ${PROJECT_SOURCE_DIR} OUTPUT_VARIABLE tag OUTPUT_STRIP_TRAILING_WHITESPACE
    ERROR_QUIET)
  execute_process(COMMAND ${GIT} describe --always
    WORKING_DIRECTORY ${PROJECT_SOURCE_DIR} OUTPUT_VARIABLE commit OUTPUT_STRIP_TRAILING_WHITESPACE
    ERROR_QUIET)
  if(tag)
    string(SUBSTRING ${tag} 1 -1 version)
  elseif(commit)
    string(APPEND version "+g${commit}")
  endif()
  set(head ${PROJECT_SOURCE_DIR}/.git/logs/HEAD)
  if(EXISTS ${head})
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${head})
  endif()
endif()
add_library(version INTERFACE)
target_compile_definitions(version INTERFACE PUSHCA_VERSION="${version}")
